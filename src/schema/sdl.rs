//! Prints the graph as callers see it: without the directives that only drive the engine.

use std::fmt::Write as _;

use async_graphql::parser::types as ast;

use crate::schema::{Catalog, FieldDef, InputDef, ObjectDef, TypeDef, TypeKind};

const PUBLIC_DIRECTIVE: &str = "requiresScopes";

/// The SDL of the graph.
pub fn print(catalog: &Catalog) -> String {
    let mut out = String::from("schema {\n  query: Query\n}\n");
    for directive in &catalog.directives {
        if directive.name.node == PUBLIC_DIRECTIVE {
            print_directive(&mut out, directive);
        }
    }
    for def in catalog.types() {
        out.push('\n');
        print_type(&mut out, def);
    }
    out
}

fn print_directive(out: &mut String, directive: &ast::DirectiveDefinition) {
    out.push('\n');
    description(
        out,
        "",
        directive
            .description
            .as_ref()
            .map(|text| text.node.as_str()),
    );
    let arguments: Vec<String> = directive
        .arguments
        .iter()
        .map(|argument| format!("{}: {}", argument.node.name.node, argument.node.ty.node))
        .collect();
    let _ = writeln!(
        out,
        "directive @{}({}) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM",
        directive.name.node,
        arguments.join(", ")
    );
}

fn print_type(out: &mut String, def: &TypeDef) {
    description(out, "", def.description.as_deref());
    let name = &def.name;
    match &def.kind {
        TypeKind::Scalar { specified_by } => {
            let _ = write!(out, "scalar {name}");
            if let Some(url) = specified_by {
                let _ = write!(out, " @specifiedBy(url: {})", quoted(url));
            }
            out.push('\n');
        }
        TypeKind::Enum(values) => {
            let _ = writeln!(out, "enum {name}{} {{", scopes(&def.requires));
            for value in values {
                description(out, "  ", value.description.as_deref());
                let _ = writeln!(out, "  {}", value.name);
            }
            out.push_str("}\n");
        }
        TypeKind::Object(object) => print_object(out, "type", def, object),
        TypeKind::Interface(object) => print_object(out, "interface", def, object),
        TypeKind::Union(members) => {
            let members: Vec<&str> = members.iter().map(|member| &**member).collect();
            let _ = writeln!(out, "union {name} = {}", members.join(" | "));
        }
        TypeKind::Input { one_of, fields } => {
            let one_of = if *one_of { " @oneOf" } else { "" };
            let _ = writeln!(out, "input {name}{one_of} {{");
            for field in fields {
                description(out, "  ", field.description.as_deref());
                let _ = writeln!(out, "  {}", input(field));
            }
            out.push_str("}\n");
        }
    }
}

fn print_object(out: &mut String, keyword: &str, def: &TypeDef, object: &ObjectDef) {
    let _ = write!(out, "{keyword} {}", def.name);
    if !object.implements.is_empty() {
        let names: Vec<&str> = object.implements.iter().map(|name| &**name).collect();
        let _ = write!(out, " implements {}", names.join(" & "));
    }
    let _ = writeln!(out, "{} {{", scopes(&def.requires));
    for field in &object.fields {
        description(out, "  ", field.description.as_deref());
        print_field(out, field);
    }
    out.push_str("}\n");
}

fn print_field(out: &mut String, field: &FieldDef) {
    let _ = write!(out, "  {}", field.name);
    if !field.arguments.is_empty() {
        let arguments: Vec<String> = field.arguments.iter().map(input).collect();
        let _ = write!(out, "({})", arguments.join(", "));
    }
    let inner = match field.ty.list {
        Some(non_null) => format!("[{}{}]", field.ty.name, if non_null { "!" } else { "" }),
        None => field.ty.name.to_string(),
    };
    let bang = if field.ty.non_null { "!" } else { "" };
    let _ = write!(out, ": {inner}{bang}");
    if let Some(reason) = &field.deprecated {
        let _ = write!(out, " @deprecated(reason: {})", quoted(reason));
    }
    let _ = writeln!(out, "{}", scopes(&field.requires));
}

fn input(def: &InputDef) -> String {
    let default = def
        .default
        .as_ref()
        .map(|value| format!(" = {value}"))
        .unwrap_or_default();
    format!("{}: {}{default}", def.name, def.ty)
}

fn scopes(requires: &[Vec<String>]) -> String {
    if requires.is_empty() {
        return String::new();
    }
    let alternatives: Vec<String> = requires
        .iter()
        .map(|scopes| {
            let scopes: Vec<String> = scopes.iter().map(|scope| quoted(scope)).collect();
            format!("[{}]", scopes.join(", "))
        })
        .collect();
    format!(" @requiresScopes(scopes: [{}])", alternatives.join(", "))
}

fn description(out: &mut String, indent: &str, text: Option<&str>) {
    match text {
        Some(text) if text.contains('\n') => {
            let _ = writeln!(out, "{indent}\"\"\"");
            for line in text.replace("\"\"\"", "\\\"\"\"").lines() {
                let _ = writeln!(out, "{indent}{}", line.trim_end());
            }
            let _ = writeln!(out, "{indent}\"\"\"");
        }
        Some(text) => {
            let _ = writeln!(out, "{indent}{}", quoted(text));
        }
        None => {}
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::print;
    use crate::schema::load::{SchemaText, load, load_shipped};

    #[test]
    fn the_printed_graph_reads_again_and_keeps_only_public_directives() {
        let printed = print(&load_shipped().unwrap());
        for private in [
            "@entity",
            "@computed",
            "@derived",
            "@relation",
            "@matches",
            "@sortsBy",
            "@embedded",
            "@get",
            "@list",
        ] {
            assert!(!printed.contains(private), "{private}");
        }
        assert!(printed.contains("interface FederatedEntity implements Node"));
        assert!(printed.contains("@requiresScopes(scopes: [[\"order:read\"]])"));
        let again = load(&[SchemaText {
            file: "printed".into(),
            text: printed.clone(),
        }])
        .unwrap();
        assert_eq!(print(&again), printed);
    }
}
