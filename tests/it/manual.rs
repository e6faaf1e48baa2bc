//! The manual of connector files: each key has an example, and each example is right.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use tributary::config::diagnostic::Diagnostics;
use tributary::config::interpolate::Environment;
use tributary::config::yaml::parse::parse;
use tributary::config::yaml::{Kind, Node};
use tributary::connector::check::connector_schema;

use crate::support::connector::read;

/// Blocks that other parts own; their keys are shown where those are explained.
const ELSEWHERE: [&str; 3] = ["Settings", "Mapping", "Written"];

/// The whole files in the manual.
fn examples() -> Vec<String> {
    let manual = include_str!("../../src/connector/guide.md");
    let blocks = manual.split("```").skip(1).step_by(2);
    let files = blocks.filter_map(|block| block.strip_prefix("yaml\n"));
    files
        .filter(|text| text.starts_with("source: "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_example_of_the_manual_is_right() {
    let environment = Environment::of([("DESK_KEY", "k")]);
    assert!(examples().len() >= 3);
    for text in examples() {
        let (compiled, diagnostics) = read("manual.yaml", &text, &environment);
        assert!(compiled.is_some(), "{}", diagnostics.render_plain());
    }
}

#[test]
fn every_key_of_a_connector_file_has_an_example() {
    let schema = connector_schema();
    let mut seen = BTreeSet::new();
    for text in examples() {
        let file = parse(&text, &"manual.yaml".into(), &mut Diagnostics::new()).unwrap();
        walk(&schema, &schema, &file, ("ConnectorSpec", &mut seen));
    }
    let mut missing = Vec::new();
    let definitions = schema["$defs"].as_object().unwrap();
    let root = [("ConnectorSpec", &schema)];
    let all = definitions
        .iter()
        .map(|(name, block)| (name.as_str(), block));
    for (name, block) in root.into_iter().chain(all) {
        if ELSEWHERE.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        for key in block["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            let is_elsewhere = ["budget", "tls", "price"].contains(&key.as_str());
            if !is_elsewhere && !seen.contains(&format!("{name}.{key}")) {
                missing.push(format!("{name}.{key}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "the manual has no example of {missing:?}"
    );
}

/// Notes the keys that a part of a file uses, by the block of the schema that they belong to. Files are shallow.
fn walk(schema: &Json, block: &Json, value: &Node, at: (&str, &mut BTreeSet<String>)) {
    let (name, seen) = at;
    if let Some(reference) = block["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return walk(schema, &schema["$defs"][name], value, (name, seen));
    }
    for form in ["anyOf", "oneOf"] {
        for form in block[form].as_array().into_iter().flatten() {
            walk(schema, form, value, (name, seen));
        }
    }
    match &value.kind {
        Kind::Sequence(items) => {
            for item in items {
                walk(schema, &block["items"], item, (name, seen));
            }
        }
        Kind::Mapping(members) => {
            for (key, member) in members {
                let key = key.text().unwrap();
                let patterns = block["patternProperties"].as_object();
                let pattern = patterns.and_then(|patterns| patterns.values().next());
                if let Some(property) = block["properties"].get(key) {
                    seen.insert(format!("{name}.{key}"));
                    walk(schema, property, member, (name, seen));
                } else if let Some(inside) = pattern {
                    walk(schema, inside, member, (name, seen));
                } else if block["additionalProperties"].is_object() {
                    walk(schema, &block["additionalProperties"], member, (name, seen));
                }
            }
        }
        Kind::Scalar(_) => {}
    }
}
