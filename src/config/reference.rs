//! The manual of `tributary.yaml`, made from the doc comments of its sections.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config::config_schema;

/// The deepest nesting of sections that the manual shows.
const DEPTH_MAX: usize = 8;

const HEAD: &str = "\
# Configuration

Everything that can stand in `tributary.yaml`. Each key may be absent, unless it is required; the file itself may be empty.
Relative paths start at the folder of the file. Keys that are not listed here are refused.

In values, `${NAME}` is filled from the environment, `${NAME:-default}` when it is set and else with the default,
`${file:path}` with the contents of a file. `$${` stands for a plain `${`. Lengths of time are written as `250ms`, `4s`,
`5m`, `2h` or `1d`, sizes as `64KiB`, `4MiB` or `1GiB`.

This page is made from the source; edit the doc comments in `src/config/section`.
";

/// Renders the manual in Markdown: a table a section, with key, type, default and meaning.
pub fn render() -> String {
    let schema = config_schema();
    let mut out = HEAD.to_owned();
    Renderer {
        schema: &schema,
        out: &mut out,
    }
    .section("", &schema, 0);
    out
}

struct Renderer<'a> {
    schema: &'a Value,
    out: &'a mut String,
}

impl<'a> Renderer<'a> {
    fn section(&mut self, path: &str, node: &'a Value, depth: usize) {
        let Some(properties) = node.get("properties").and_then(Value::as_object) else {
            return;
        };
        if depth > DEPTH_MAX {
            return;
        }
        // Writing to a String can't fail.
        let title = if path.is_empty() {
            "Top level".to_owned()
        } else {
            format!("`{path}`")
        };
        let _ = write!(self.out, "\n## {title}\n\n{}\n\n", text(node));
        self.out
            .push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        let required: Vec<&str> = node
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, property) in properties {
            let default = match property.get("default") {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                None | Some(Value::Null) => String::new(),
                Some(default) => format!("`{}`", shown(default)),
            };
            let kind = self.kind(property).replace('|', "\\|");
            let _ = writeln!(
                self.out,
                "| `{key}` | {kind} | {default} | {} |",
                text(property).replace('|', "\\|")
            );
        }
        for (key, property) in properties {
            let below = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let property = self.resolved(property);
            if let Some(items) = property.get("items") {
                self.section(
                    &format!("{below}[]"),
                    self.resolved(items),
                    depth.saturating_add(1),
                );
            } else {
                self.section(&below, property, depth.saturating_add(1));
            }
        }
    }

    fn resolved(&self, node: &'a Value) -> &'a Value {
        let branches = node
            .get("anyOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let branch = branches
            .into_iter()
            .find(|branch| branch.get("type") != Some(&Value::from("null")));
        let node = branch.unwrap_or(node);
        let target = node
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix('#'));
        target
            .and_then(|pointer| self.schema.pointer(pointer))
            .unwrap_or(node)
    }

    fn kind(&self, property: &'a Value) -> String {
        let reference = property
            .get("anyOf")
            .and_then(|branches| branches.get(0))
            .unwrap_or(property)
            .get("$ref");
        match reference
            .and_then(Value::as_str)
            .and_then(|name| name.rsplit('/').next())
        {
            Some("Span") => return "length of time".to_owned(),
            Some("Size") => return "size".to_owned(),
            Some("Secret") => return "secret".to_owned(),
            _ => {}
        }
        let node = self.resolved(property);
        if let Some(words) = words(node) {
            return words;
        }
        let name = match node.get("type") {
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .find(|name| *name != "null"),
            other => other.and_then(Value::as_str),
        };
        match name {
            Some("array") => {
                let items = node
                    .get("items")
                    .map(|items| self.kind(items))
                    .unwrap_or_default();
                format!("list of {items}")
            }
            Some("object") if node.get("properties").is_some() => "mapping, see below".to_owned(),
            Some("object") => match node
                .get("additionalProperties")
                .filter(|value| value.is_object())
            {
                Some(values) => format!("mapping to {}", self.kind(values)),
                None => "mapping".to_owned(),
            },
            Some("string") => "text".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some(other) => other.to_owned(),
            None => "any".to_owned(),
        }
    }
}

/// The words of an enum.
fn words(node: &Value) -> Option<String> {
    let listed: Vec<&Value> = match (node.get("enum"), node.get("oneOf")) {
        (Some(Value::Array(words)), _) => words.iter().collect(),
        (_, Some(Value::Array(branches))) => branches
            .iter()
            .filter_map(|branch| branch.get("const"))
            .collect(),
        _ => return None,
    };
    let quoted: Vec<String> = listed
        .iter()
        .filter_map(|word| word.as_str())
        .map(|word| format!("`{word}`"))
        .collect();
    Some(quoted.join(", "))
}

fn text(node: &Value) -> String {
    let description = node
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    description.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string().replace("\",\"", "\", \""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_meaning() {
        for line in render().lines().filter(|line| line.starts_with("| `")) {
            assert!(!line.ends_with("|  |"), "{line}");
        }
    }
}
