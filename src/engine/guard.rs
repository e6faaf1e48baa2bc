//! Refuses hostile documents before anything recursive sees them: a linear scan before parsing, a memoised count after.

use std::collections::HashMap;

use async_graphql::Positioned;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, Selection, SelectionSet,
};

/// Bounds on documents.
#[derive(Debug, Clone, Copy)]
pub struct DocumentLimits {
    /// Bytes of text.
    pub bytes_max: usize,
    /// Tokens.
    pub tokens_max: usize,
    /// Nested brackets of any kind.
    pub brackets_max: usize,
    /// Fields, once every fragment is written out.
    pub fields_max: u64,
    /// Depth of selections, once every fragment is written out.
    pub depth_max: u32,
    /// Directives anywhere.
    pub directives_max: usize,
    /// Lists of introspection nested in each other, which multiply.
    pub introspection_max: u32,
    /// Cost of a query: each field counts one for each object it can be asked on, with lists as long as their pages.
    pub cost_max: u64,
    /// Errors in an answer.
    pub errors_max: usize,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            bytes_max: 64 * 1024,
            tokens_max: 8_192,
            brackets_max: 64,
            fields_max: 2_000,
            depth_max: 24,
            directives_max: 128,
            introspection_max: 3,
            cost_max: 20_000,
            errors_max: 100,
        }
    }
}

/// A document beyond a bound; the text names bound and figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the document has {what}: {found}, and at most {max} are allowed")]
pub struct TooMuch {
    /// What there is too much of.
    pub what: &'static str,
    /// How much there is, as far as it was counted.
    pub found: u64,
    /// The bound.
    pub max: u64,
}

fn bound(what: &'static str, found: u64, max: u64) -> Result<(), TooMuch> {
    if found > max {
        Err(TooMuch { what, found, max })
    } else {
        Ok(())
    }
}

/// Scans the text once: bytes, tokens, directives, bracket depth. Needs no stack and allocates nothing.
pub fn scan(text: &str, limits: &DocumentLimits) -> Result<(), TooMuch> {
    bound("too many bytes", text.len() as u64, limits.bytes_max as u64)?;
    let (mut tokens, mut directives, mut depth) = (0_u64, 0_u64, 0_u64);
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let used = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => 1,
            b'#' => rest
                .iter()
                .position(|byte| matches!(byte, b'\n' | b'\r'))
                .unwrap_or(rest.len()),
            b'"' => {
                tokens += 1;
                string_length(rest)
            }
            b'{' | b'[' | b'(' => {
                tokens += 1;
                depth += 1;
                bound(
                    "too many nested brackets",
                    depth,
                    limits.brackets_max as u64,
                )?;
                1
            }
            b'}' | b']' | b')' => {
                tokens += 1;
                depth = depth.saturating_sub(1);
                1
            }
            b'@' => {
                tokens += 1;
                directives += 1;
                1
            }
            byte if is_word(byte) => {
                tokens += 1;
                rest.iter()
                    .position(|byte| !is_word(*byte))
                    .unwrap_or(rest.len())
            }
            _ => {
                tokens += 1;
                1
            }
        };
        bound("too many tokens", tokens, limits.tokens_max as u64)?;
        bound(
            "too many directives",
            directives,
            limits.directives_max as u64,
        )?;
        rest = rest.get(used..).unwrap_or(after);
    }
    Ok(())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte >= 0x80
}

/// The length of the string literal that the text begins with, quotes included; to the end when it is not closed.
fn string_length(text: &[u8]) -> usize {
    if text.starts_with(b"\"\"\"") {
        let mut at = 3;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(b"\\\"\"\"") {
                at += 4;
            } else if rest.starts_with(b"\"\"\"") {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return text.len();
    }
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            b'\n' | b'\r' => return at,
            _ => {}
        }
    }
    text.len()
}

/// Counts the fields and the depth of a parsed document with every fragment written out, each fragment counted once.
pub fn count(document: &ExecutableDocument, limits: &DocumentLimits) -> Result<(), TooMuch> {
    let mut counter = Counter {
        document,
        known: HashMap::new(),
        open: Vec::new(),
    };
    for fragment in document.fragments.keys() {
        check(counter.fragment(fragment.as_str()), limits)?;
    }
    for (_, operation) in document.operations.iter() {
        check(counter.set(&operation.node.selection_set), limits)?;
    }
    Ok(())
}

fn check(size: Size, limits: &DocumentLimits) -> Result<(), TooMuch> {
    bound(
        "too many fields, fragments written out",
        size.fields,
        limits.fields_max,
    )?;
    bound(
        "too deep selections",
        u64::from(size.depth),
        u64::from(limits.depth_max),
    )?;
    let max = u64::from(limits.introspection_max);
    bound("too deep introspection", u64::from(size.introspection), max)
}

/// Introspection fields that list other types.
const INTROSPECTION_LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    fields: u64,
    depth: u32,
    introspection: u32,
}

struct Counter<'d> {
    document: &'d ExecutableDocument,
    known: HashMap<&'d str, Size>,
    /// Fragments being counted: one that spreads itself is left to validation.
    open: Vec<&'d str>,
}

impl<'d> Counter<'d> {
    fn fragment(&mut self, name: &str) -> Size {
        let Some((name, definition)) = self.document.fragments.get_key_value(name) else {
            return Size::default();
        };
        let name = name.as_str();
        if let Some(size) = self.known.get(name) {
            return *size;
        }
        if self.open.contains(&name) {
            return Size::default();
        }
        self.open.push(name);
        let definition: &'d Positioned<FragmentDefinition> = definition;
        let size = self.set(&definition.node.selection_set);
        self.open.pop();
        self.known.insert(name, size);
        size
    }

    fn set(&mut self, set: &'d Positioned<SelectionSet>) -> Size {
        let mut total = Size::default();
        for item in &set.node.items {
            let size = match &item.node {
                Selection::Field(field) => {
                    let inner = self.set(&field.node.selection_set);
                    {
                        let lists = INTROSPECTION_LISTS.contains(&field.node.name.node.as_str());
                        Size {
                            fields: inner.fields.saturating_add(1),
                            depth: inner.depth.saturating_add(1),
                            introspection: inner.introspection + u32::from(lists),
                        }
                    }
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set),
                Selection::FragmentSpread(spread) => {
                    self.fragment(spread.node.fragment_name.node.as_str())
                }
            };
            total.fields = total.fields.saturating_add(size.fields);
            total.depth = total.depth.max(size.depth);
            total.introspection = total.introspection.max(size.introspection);
        }
        total
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fmt::Write as _;

    use async_graphql::parser::parse_query;

    use super::{DocumentLimits, count, scan};

    #[track_caller]
    fn check_scan(text: &str, expected: Option<&str>) {
        let said = scan(text, &DocumentLimits::default())
            .err()
            .map(|error| error.what);
        assert_eq!(said, expected);
    }

    #[test]
    fn hostile_texts_are_refused_before_parsing() {
        check_scan("{ a(b: \"[[[[ } \\\" {\") { c } } # {{{{{", None);
        check_scan(
            &format!("{{ a(b: {}) }}", "[".repeat(2_000)),
            Some("too many nested brackets"),
        );
        check_scan(
            &format!("{{ a(b: {}", "{a:".repeat(2_000)),
            Some("too many nested brackets"),
        );
        check_scan(
            &format!("{{ a {} }}", "@skip(if: true) ".repeat(200)),
            Some("too many directives"),
        );
        check_scan(&"a ".repeat(9_000), Some("too many tokens"));
        check_scan(&" ".repeat(70_000), Some("too many bytes"));
        check_scan("{ a(b: \"\"\"{{{ \\\"\"\" [[ \"\"\") }", None);
    }

    #[test]
    fn fragments_that_double_are_counted_without_being_written_out() {
        let mut text = String::from("{ ...f0 }");
        for n in 0..30 {
            write!(
                text,
                " fragment f{n} on Query {{ ...f{} ...f{} }}",
                n + 1,
                n + 1
            )
            .unwrap();
        }
        text.push_str(" fragment f30 on Query { a }");
        let document = parse_query(&text).unwrap();
        let error = count(&document, &DocumentLimits::default()).unwrap_err();
        assert_eq!(error.what, "too many fields, fragments written out");
        let circle =
            parse_query("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a x }")
                .unwrap();
        count(&circle, &DocumentLimits::default()).unwrap();
    }
}
