//! The manual of connector files: a guide, and every key from the doc comments of the spec.

use std::fmt::Write as _;

use serde_json::Value;

use crate::connector::check::connector_schema;

/// The guide that stands before the list of keys.
const GUIDE: &str = include_str!("guide.md");

/// The blocks of a file in reading order: what people call them, and the type they are.
const BLOCKS: [(&str, &str); 23] = [
    ("credential", "CredentialSettings"),
    ("budget", "BudgetSettings"),
    ("budget: quota", "QuotaSettings"),
    ("budget: feedback", "FeedbackSettings"),
    ("tls", "TlsSettings"),
    ("price", "PriceSettings"),
    ("soap", "SoapSpec"),
    ("errors, and error of an operation", "ErrorsSpec"),
    ("cache", "CacheSpec"),
    ("An entity", "EntitySpec"),
    ("fields: a mapping", "Mapping"),
    ("custom: a value", "CustomSpec"),
    ("links: the long form", "LongLinkSpec"),
    ("identifiers", "IdentifiersSpec"),
    ("identifiers: the long form", "LongIdentifierSpec"),
    ("rules: a rule", "RuleSpec"),
    ("An operation", "OperationSpec"),
    ("budget of an operation", "OperationBudgetSettings"),
    ("batch", "BatchSpec"),
    ("page", "PageSpec"),
    ("filters: a filter", "FilterSpec"),
    ("sort: an order", "DirectionsSpec"),
    ("sort: a direction", "PlacementSpec"),
];

/// Renders the manual in Markdown.
pub fn render() -> String {
    let schema = connector_schema();
    let mut out = GUIDE.to_owned();
    out.push_str("\n## Reference\n\nEvery key. Keys that are not listed are refused.\n");
    table(&mut out, "The file", &schema, &schema);
    let mut shown: Vec<&str> = Vec::new();
    for (title, name) in BLOCKS {
        if let Some(block) = definition(&schema, name) {
            table(&mut out, title, block, &schema);
            shown.push(name);
        }
    }
    // A block that is new in the spec must not be missing here.
    for (name, block) in schema
        .get("$defs")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if block.get("properties").is_some() && !shown.contains(&name.as_str()) {
            table(&mut out, name, block, &schema);
        }
    }
    out
}

fn definition<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    schema.get("$defs")?.get(name)
}

fn table(out: &mut String, title: &str, block: &Value, schema: &Value) {
    // Writing to a String can't fail.
    let _ = write!(out, "\n### {title}\n\n{}\n", text(block));
    let forms = block.get("oneOf").or_else(|| block.get("anyOf"));
    let Some(forms) = forms.and_then(Value::as_array) else {
        rows(out, block, schema);
        return;
    };
    for form in forms {
        let _ = write!(out, "\n{}\n", text(form));
        if form.get("properties").is_some() {
            rows(out, form, schema);
        }
    }
}

fn rows(out: &mut String, block: &Value, schema: &Value) {
    out.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    let required: Vec<&str> = block
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let members = |key| {
        block
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    };
    for (key, property) in members("properties") {
        let default = match property.get("default") {
            _ if required.contains(&key.as_str()) => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(Value::Object(members)) if members.is_empty() => String::new(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(default) => format!("`{default}`"),
        };
        row(out, &format!("`{key}`"), property, &default, schema);
    }
    for (pattern, property) in members("patternProperties") {
        let shown = if pattern == "^[A-Z]" {
            "`Customer`, `Order`, …"
        } else {
            "`get`, `list`, `byCustomer`, …"
        };
        row(out, shown, property, "", schema);
    }
}

fn row(out: &mut String, key: &str, property: &Value, default: &str, schema: &Value) {
    let kind = kind(property, schema).replace('|', "\\|");
    let meaning = match property.get("const") {
        Some(_) => "Chooses this form.".to_owned(),
        None => text(property).replace('|', "\\|"),
    };
    let _ = writeln!(out, "| {key} | {kind} | {default} | {meaning} |");
}

/// What a value is, in words.
fn kind(property: &Value, schema: &Value) -> String {
    let forms = property.get("anyOf").and_then(Value::as_array);
    if let Some(form) = forms.and_then(|forms| forms.first()) {
        return kind(form, schema);
    }
    if let Some(name) = property
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.rsplit('/').next())
    {
        return named(name, schema);
    }
    if let Some(word) = property.get("const") {
        return format!("`{}`", word.as_str().unwrap_or_default());
    }
    let name = match property.get("type") {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null"),
        other => other.and_then(Value::as_str),
    };
    match name {
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => match property.get("items") {
            Some(items) => format!("list of {}", kind(items, schema)),
            None => "list".to_owned(),
        },
        Some("object") => match property
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            Some(values) => format!("table of {}", kind(values, schema)),
            None => "table".to_owned(),
        },
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}

fn named(name: &str, schema: &Value) -> String {
    match name {
        "Span" => return "length of time".to_owned(),
        "Size" => return "size".to_owned(),
        "Rate" => return "rate".to_owned(),
        "Rates" => return "rate, or list of rates".to_owned(),
        "Secret" => return "secret".to_owned(),
        "Template" => return "template".to_owned(),
        "LinkSpec" | "IdentifierSpec" => return "expression or long form".to_owned(),
        "PlaceSpec" => return "`true` or text".to_owned(),
        "Mapping" => return "mapping".to_owned(),
        _ => {}
    }
    let block = definition(schema, name);
    let words = block.and_then(|block| match (block.get("enum"), block.get("oneOf")) {
        (Some(Value::Array(words)), _) => {
            Some(words.iter().filter_map(Value::as_str).collect::<Vec<_>>())
        }
        (_, Some(Value::Array(forms))) => {
            let words: Vec<&str> = forms
                .iter()
                .filter_map(|form| form.get("const").and_then(Value::as_str))
                .collect();
            (!words.is_empty()).then_some(words)
        }
        _ => None,
    });
    match words {
        Some(words) => {
            let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            quoted.join(", ")
        }
        None => "block, see below".to_owned(),
    }
}

fn text(node: &Value) -> String {
    let description = node
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    description.split_whitespace().collect::<Vec<_>>().join(" ")
}
