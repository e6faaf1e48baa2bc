//! Reads the repository's own text: Rust files with comments and literals blanked, and every other file.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Folders that are made, not written.
const MADE: &[&str] = &[".git", "target", "node_modules", "dist"];

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every written file below a folder of the repository, as paths relative to the repository, in order.
pub fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let start = root().join(folder);
    if start.is_dir() {
        collect(&start, &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if MADE.contains(&name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(relative(&path));
        }
    }
}

fn relative(path: &Path) -> String {
    let inside: PathBuf = path.strip_prefix(root()).unwrap().into();
    inside.to_str().unwrap().to_owned()
}

/// The text of a file, or nothing when it is not text.
pub fn text(path: &str) -> Option<String> {
    String::from_utf8(fs::read(root().join(path)).unwrap()).ok()
}

/// The Rust files of `src`, without those that are only test modules.
pub fn rust_sources() -> Vec<Rust> {
    let all: Vec<Rust> = files("src")
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| Rust::new(&path, &text(&path).unwrap()))
        .collect();
    let tests: Vec<String> = all.iter().flat_map(Rust::test_files).collect();
    all.into_iter()
        .filter(|file| !tests.contains(&file.path))
        .collect()
}

/// One Rust file.
pub struct Rust {
    /// Where it is, relative to the repository.
    pub path: String,
    /// The code: comments and the insides of literals are blanks, every line keeps its number.
    pub code: String,
    /// The code without items under `#[cfg(test)]`, which are blanked as well.
    pub product: String,
    /// How many lines are not part of items under `#[cfg(test)]`.
    pub product_lines: usize,
}

impl Rust {
    /// Reads a file's text.
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank_literals(text);
        let mut product = code.clone().into_bytes();
        let mut test_lines = 0;
        for range in test_items(&code) {
            test_lines += code[range.clone()].matches('\n').count() + 1;
            blank(&mut product[range]);
        }
        Self {
            path: path.to_owned(),
            product: String::from_utf8(product).unwrap(),
            product_lines: code.lines().count() - test_lines,
            code,
        }
    }

    /// The top-level module that the file belongs to.
    pub fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().unwrap();
        first.trim_end_matches(".rs")
    }

    /// Every function outside tests, with the number of lines from its `fn` to its last brace.
    pub fn functions(&self) -> Vec<(String, usize)> {
        let code = &self.product;
        let mut found = Vec::new();
        for (at, _) in code.match_indices("fn ") {
            if code[..at].ends_with(is_word) {
                continue;
            }
            let rest = &code[at + "fn ".len()..];
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            if let (false, Some(range)) = (name.is_empty(), item(code, at)) {
                found.push((name, code[range].lines().count()));
            }
        }
        found
    }

    /// The paths of files that hold a module declared under `#[cfg(test)]`.
    fn test_files(&self) -> Vec<String> {
        let mut found = Vec::new();
        for range in test_items(&self.code) {
            let Some((_, name)) = self.code[range].rsplit_once("mod ") else {
                continue;
            };
            if let Some(name) = name.strip_suffix(';') {
                let folder = match self.path.strip_suffix("/mod.rs") {
                    Some(folder) => folder,
                    None => self.path.trim_end_matches(".rs"),
                };
                found.push(format!("{folder}/{name}.rs"));
            }
        }
        found
    }
}

/// Whether the character can be part of an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The items under `#[cfg(test)]`, attribute included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let is_inside = found.last().is_some_and(|last| last.contains(&at));
        if let (false, Some(range)) = (is_inside, item(code, at)) {
            found.push(range);
        }
    }
    found
}

/// The item that starts at a place: up to its closing brace, or its semicolon when it has no braces.
fn item(code: &str, start: usize) -> Option<Range<usize>> {
    let mut braces = 0_usize;
    let mut others = 0_usize;
    for (at, c) in code[start..].char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others = others.checked_sub(1)?,
            '{' => braces += 1,
            '}' => {
                braces = braces.checked_sub(1)?;
                // Braces within parentheses are a constant of the signature, not the body.
                if braces == 0 && others == 0 {
                    return Some(start..start + at + 1);
                }
            }
            ';' if braces == 0 && others == 0 => return Some(start..start + at + 1),
            _ => (),
        }
    }
    None
}

/// Replaces comments and the insides of literals by blanks, byte for byte.
fn blank_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some(end) = skip(bytes, at) else {
            at += 1;
            continue;
        };
        let end = end.min(bytes.len());
        blank(&mut out[at..end]);
        at = end;
    }
    String::from_utf8(out).unwrap()
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// The end of the comment or literal that starts here, if one does.
fn skip(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let is_after_word = at > 0 && is_word(char::from(bytes[at - 1]));
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(at + block_comment(rest));
    }
    if rest[0] == b'"' {
        return Some(at + quoted(rest, b'"'));
    }
    if !is_after_word && (rest[0] == b'r' || rest.starts_with(b"br")) {
        return raw_string(rest).map(|length| at + length);
    }
    // A quote is a character when it closes after one character, and a lifetime otherwise.
    let is_char =
        rest[0] == b'\'' && rest.len() > 2 && (rest[1] == b'\\' || closes_after_one(&rest[1..]));
    is_char.then(|| at + quoted(rest, b'\''))
}

fn closes_after_one(rest: &[u8]) -> bool {
    let length = match rest[0] {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    rest[0] != b'\'' && rest.get(length) == Some(&b'\'')
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = if rest[0] == b'b' { 2 } else { 1 };
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = prefix + hashes + 1;
    let length = rest[body..].windows(end.len()).position(|w| w == end)?;
    Some(body + length + end.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}
