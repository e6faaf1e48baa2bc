//! The rules of the house that no compiler knows: sizes, names, and that nothing points nowhere.

use std::collections::BTreeSet;

use super::support::source::{Rust, files, is_word, root, rust_sources, text};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 60;

/// Files that are still too long. The list shrinks only: an entry that is not needed any more fails.
const LONG_FILES: &[&str] = &[];

/// Functions that are still too long, by file. The list shrinks only.
const LONG_FUNCTIONS: &[(&str, &str)] = &[
    ("src/config/yaml/parse.rs", "align"),
    ("src/sandbox/company/people.rs", "make_person"),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "manager",
];

/// Files that a package manager writes; they name hosts.
const LOCKS: &[&str] = &["Cargo.lock", "package-lock.json"];

#[test]
fn no_file_has_more_than_one_subject() {
    let long: BTreeSet<String> = rust_sources()
        .into_iter()
        .filter(|file| file.product_lines > FILE_LINES_MAX)
        .map(|file| file.path)
        .collect();
    let known = LONG_FILES.iter().map(|path| (*path).to_owned()).collect();
    compare_with_exceptions(&long, &known);
}

#[test]
fn every_function_fits_on_a_screen() {
    let mut long = BTreeSet::new();
    for file in rust_sources() {
        for (name, lines) in file.functions() {
            if lines > FUNCTION_LINES_MAX {
                long.insert(format!("{}: {name}", file.path));
            }
        }
    }
    let known = LONG_FUNCTIONS
        .iter()
        .map(|(path, name)| format!("{path}: {name}"))
        .collect();
    compare_with_exceptions(&long, &known);
}

#[test]
fn functions_are_measured_with_signature_and_without_tests() {
    let text = "fn one() {}\nasync fn two<const N: usize>(\n    a: [u8; N],\n) -> bool {\n    a == ['{'; 1]\n}\n\
        trait T { fn three(&self); }\n#[cfg(test)]\nmod tests {\n    fn four() {\n    }\n}\n";
    let file = Rust::new("src/x.rs", text);
    let found: Vec<(String, usize)> = file.functions();
    let expected = [("one", 1), ("two", 5), ("three", 1)];
    assert_eq!(
        found,
        expected.map(|(name, lines)| (name.to_owned(), lines))
    );
    assert_eq!(file.product_lines, 7);
}

#[test]
fn folders_have_a_mod_file_and_no_file_beside_them() {
    for path in files("src").into_iter().chain(files("tests")) {
        if let Some(stem) = path.strip_suffix(".rs") {
            let is_double = root().join(stem).join("mod.rs").exists();
            assert!(!is_double, "{path} stands beside {stem}/mod.rs");
        }
    }
}

#[test]
fn names_say_what_is_inside() {
    for path in files("src").into_iter().chain(files("tests")) {
        for part in path.trim_end_matches(".rs").split('/') {
            assert!(
                !EMPTY_NAMES.contains(&part),
                "{path}: `{part}` says nothing"
            );
        }
    }
}

#[test]
fn an_exception_from_a_lint_says_why() {
    let written = files("src").into_iter().chain(files("tests"));
    for path in written.chain(["build.rs".to_owned()]) {
        if !path.ends_with(".rs") || !root().join(&path).exists() {
            continue;
        }
        let code = Rust::new(&path, &text(&path).unwrap()).code;
        for start in ["#[allow(", "#![allow("] {
            assert!(
                !code.contains(start),
                "{path}: write `#[expect(…, reason)]`"
            );
        }
        for (at, _) in code.match_indices("[expect(") {
            let end = code[at..].find(")]").unwrap();
            let has_reason = code[at..at + end].contains("reason =");
            assert!(has_reason, "{path}: an `expect` has no reason");
        }
    }
}

#[test]
fn paths_are_not_shortened_and_nothing_is_imported_blindly() {
    for file in rust_sources() {
        for word in ["pub use ", "pub(crate) use ", "::*;"] {
            assert!(!file.product.contains(word), "{}: `{word}`", file.path);
        }
    }
}

#[test]
fn tests_neither_sleep_nor_are_they_ignored() {
    for path in files("tests").iter().filter(|path| path.ends_with(".rs")) {
        let code = Rust::new(path, &text(path).unwrap()).code;
        assert!(!code.contains("#[ignore"), "{path}: an ignored test");
        assert!(!code.contains("thread::sleep"), "{path}: a test sleeps");
    }
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // In pieces, so that this file does not find itself.
    let folders = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    for path in files("") {
        let Some(text) = text(&path) else { continue };
        for folder in folders {
            for (at, _) in text.match_indices(folder) {
                let is_inside = text[..at].ends_with(|c| is_word(c) || ".-}".contains(c));
                assert!(is_inside, "{path} names {folder}");
            }
        }
    }
}

#[test]
fn only_lock_files_name_package_registries() {
    let hosts = [
        concat!("npm", "js.org"),
        concat!("npm", "js.com"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("deb.debian", ".org"),
        concat!("gh", "cr.io"),
        concat!("docker", ".io"),
    ];
    for path in files("") {
        let name = path.rsplit('/').next().unwrap();
        let Some(text) = text(&path).filter(|_| !LOCKS.contains(&name)) else {
            continue;
        };
        for host in hosts {
            assert!(!text.contains(host), "{path} names {host}");
        }
    }
}

#[test]
fn lock_files_name_public_registries_only() {
    for path in files("") {
        let text = match path.rsplit('/').next().unwrap() {
            "Cargo.lock" | "package-lock.json" => text(&path).unwrap(),
            _ => continue,
        };
        for line in text.lines().map(str::trim) {
            let source = line
                .strip_prefix("source = ")
                .or_else(|| line.strip_prefix("\"resolved\": "));
            let Some(source) = source else { continue };
            let is_public = source.starts_with("\"registry+https://github.com/rust-lang/")
                || source.starts_with(concat!("\"https://registry.npm", "js.org/"));
            assert!(is_public, "{path}: {source}");
        }
    }
}

#[test]
fn the_changelog_has_a_place_for_what_is_next() {
    let changelog = text("CHANGELOG.md").unwrap();
    let first = changelog.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## Unreleased"));
}

#[test]
fn every_fixture_is_read_by_a_test() {
    let mut tests = String::new();
    for path in files("tests").into_iter().chain(files("src")) {
        if path.ends_with(".rs") || path.starts_with("tests/node/") {
            tests.push_str(&text(&path).unwrap_or_default());
        }
    }
    for path in files("tests/fixture") {
        let name = path.rsplit('/').next().unwrap();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        if name == "README.md" {
            continue;
        }
        let mut names = vec![name.to_owned(), format!("\"{stem}\"")];
        // One of a pair, as `rsa.private.pem`.
        if let Some((pair, _)) = stem.split_once('.') {
            names.push(format!("\"{pair}\""));
        }
        // A folder that a test walks whole; the folder of all fixtures is none.
        let folder = path.rsplit_once('/').unwrap().0;
        if folder != "tests/fixture" {
            names.push(format!("{folder}\""));
        }
        let is_read = names.iter().any(|name| tests.contains(name));
        assert!(is_read, "no test reads {path}");
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    let top = files("").into_iter().filter(|path| !path.contains('/'));
    let documents = top.chain(files("docs")).chain(files("connectors"));
    for path in documents.filter(|path| path.ends_with(".md")) {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for link in links(&text(&path).unwrap()) {
            let target = link.split('#').next().unwrap();
            let is_here = target.is_empty() || folder.join(target).exists();
            assert!(is_here, "{path} links to {link}");
        }
    }
}

/// The targets of a document's links that stay in the repository.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in text.match_indices("](") {
        let rest = &text[at + start.len()..];
        let link = &rest[..rest.find(')').unwrap_or(rest.len())];
        if !link.contains("://") {
            found.push(link.to_owned());
        }
    }
    found
}

/// What breaks a rule must be listed, and what is listed must still break it.
#[track_caller]
fn compare_with_exceptions(found: &BTreeSet<String>, known: &BTreeSet<String>) {
    let new: Vec<&String> = found.difference(known).collect();
    assert!(new.is_empty(), "too long: {new:#?}");
    let stale: Vec<&String> = known.difference(found).collect();
    assert!(stale.is_empty(), "no exceptions any more: {stale:#?}");
}
