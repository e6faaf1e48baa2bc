//! The layers of the crate: a module uses modules of lower layers only.

use std::collections::BTreeSet;

use super::support::source::{Rust, is_word, rust_sources};

/// Lowest layer first. Modules of one row do not use each other.
const LAYERS: &[&[&str]] = &[
    &["record", "error"],
    &["config"],
    &["telemetry"],
    &["protocol", "cache", "auth", "schema"],
    &["credential"],
    &["transport"],
    &["connector"],
    &["fetch"],
    &["resolve"],
    &["engine"],
    &["http"],
    &["app"],
    &["cli"],
];

/// Uses no module of ours, and only these use it.
const APART: (&str, &[&str]) = ("sandbox", &["cli"]);

#[test]
fn modules_use_lower_layers_only() {
    let found: Vec<String> = rust_sources().iter().flat_map(breaches).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_program_uses_the_command_line_only() {
    let sources = rust_sources();
    let main = sources.iter().find(|file| file.path == "src/main.rs");
    let used = modules_after("tributary::", &main.unwrap().product);
    let allowed = BTreeSet::from(["cli".to_owned()]);
    assert!(used.is_subset(&allowed), "src/main.rs uses {used:?}");
}

#[test]
fn every_layer_has_its_module() {
    let sources = rust_sources();
    let modules: BTreeSet<&str> = sources.iter().map(Rust::module).collect();
    for module in LAYERS.iter().copied().flatten().chain([&APART.0]) {
        assert!(
            modules.contains(module),
            "there is no module `{module}` any more"
        );
    }
}

#[test]
fn a_breach_is_found_however_it_is_written() {
    check("cache/mod.rs", "use crate::error::Code;", &[]);
    check("cache/mod.rs", "use crate::cache::key::Key;", &[]);
    check("cache/mod.rs", "use crate::fetch::Fetch;", &["fetch"]);
    check("cache/mod.rs", "use crate::auth::Caller;", &["auth"]);
    check("cache/mod.rs", "fn f() { crate::app::run() }", &["app"]);
    check(
        "cache/mod.rs",
        "use crate::{\n    error::{Code, Owner},\n    cli::{self, run},\n    http,\n};",
        &["cli", "http"],
    );
    check(
        "cache/mod.rs",
        "pub(in crate::cache) fn f(_: &crate::engine::Engine) {}",
        &["engine"],
    );
    check("cache/mod.rs", "use crate::*;", &["*"]);
    check("cache/mod.rs", "use crate::{self as x};", &["self"]);
    check("cache/mod.rs", "use crate::Unlisted;", &["Unlisted"]);
    check("cache/mod.rs", "use super::app::App;", &["super"]);
    check("cache/key.rs", "use super::super::app::App;", &["super"]);
    check("cache/key.rs", "use super::entry::Entry;", &[]);
    check("cli/mod.rs", "use crate::sandbox::Sandbox;", &[]);
    check("app.rs", "use crate::sandbox::Sandbox;", &["sandbox"]);
    check("sandbox/crm.rs", "use crate::sandbox::message;", &[]);
    check("sandbox/crm.rs", "use crate::error::Code;", &["error"]);
}

#[test]
fn only_code_that_ships_is_held_to_the_layers() {
    check("error.rs", "// use crate::app::App;\n", &[]);
    check("error.rs", "/* a /* nested */ crate::app */", &[]);
    check("error.rs", "/// See [`crate::app::App`].\nstruct A;", &[]);
    check("error.rs", "const A: &str = \"crate::app \\\" //\";", &[]);
    check(
        "error.rs",
        "const A: &str = r#\"crate::app \" x\"#;\nuse crate::cli::A;",
        &["cli"],
    );
    check(
        "error.rs",
        "fn f<'a>(x: &'a str) -> char { '\"' }\nuse crate::cli::A;",
        &["cli"],
    );
    check(
        "error.rs",
        "#[cfg(test)]\n#[expect(x, reason = \"{\")]\nmod tests { use crate::app::A; }\nuse crate::cli::A;",
        &["cli"],
    );
    check("error.rs", "#[cfg(test)]\nuse crate::app::App;", &[]);
}

/// Holds one file's text to the layers; `expected` are the words at fault.
#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    let file = Rust::new(&format!("src/{path}"), text);
    let found: Vec<String> = breaches(&file);
    let words: Vec<&str> = found
        .iter()
        .map(|breach| breach.split('`').nth(3).unwrap())
        .collect();
    assert_eq!(words, expected, "{found:?}");
}

fn breaches(file: &Rust) -> Vec<String> {
    let own = file.module();
    if ["main", "lib"].contains(&own) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut breach = |used: &str, why: &str| {
        found.push(format!("{}: `{own}` uses `{used}`: {why}", file.path));
    };
    let is_root = [format!("src/{own}.rs"), format!("src/{own}/mod.rs")].contains(&file.path);
    if file.product.contains("super::super") || is_root && file.product.contains("super::") {
        breach("super", "write `crate::`, so that the layers can be read");
    }
    for used in modules_after("crate::", &file.product) {
        if used == own {
            continue;
        }
        if used == APART.0 {
            if !APART.1.contains(&own) {
                breach(&used, "it stands apart from the product");
            }
            continue;
        }
        match (layer(own), layer(&used)) {
            (_, None) => breach(&used, "it has no layer"),
            (None, _) => breach(&used, "the module itself has no layer, or stands apart"),
            (Some(own), Some(used_layer)) if used_layer >= own => {
                breach(&used, "it is not in a lower layer");
            }
            (Some(_), Some(_)) => (),
        }
    }
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// The first segments of all paths with a prefix, those of `{a::b, c}` groups included.
fn modules_after(prefix: &str, code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c| is_word(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_members(group)),
            None => found.extend(first_segment(rest)),
        }
    }
    found
}

/// The first segments of the members of a group, whose opening brace is gone.
fn group_members(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                found.extend(first_segment(&group[start..at]));
                start = at + 1;
            }
            '}' => {
                found.extend(first_segment(&group[start..at]));
                return found;
            }
            _ => (),
        }
    }
    found
}

fn first_segment(path: &str) -> Option<String> {
    let path = path.trim_start();
    if path.starts_with('*') {
        return Some("*".into());
    }
    let word: String = path.chars().take_while(|c| is_word(*c)).collect();
    (!word.is_empty()).then_some(word)
}
