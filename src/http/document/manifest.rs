//! Reads trusted documents from files: one `.graphql` file each, or a manifest of Apollo's or Relay's tools.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Why a file has no trusted documents.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is neither a document nor a manifest.
    #[error("it must be a `.graphql` document or a `.json` manifest")]
    Kind,
    /// The manifest is not JSON of a known form.
    #[error("it is neither a manifest of Apollo's tools nor an object of id and document")]
    Form,
    /// The document does not parse.
    #[error("the document `{0}` is not GraphQL")]
    Document(String),
}

/// Apollo's form, `apollo-persisted-query-manifest` version 1.
#[derive(Deserialize)]
struct Apollo {
    operations: Vec<ApolloOperation>,
}

#[derive(Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

/// The documents of a file by id: of a `.graphql` file the one in it, under the file's name.
pub fn read(file_name: &str, text: &str) -> Result<Vec<(String, String)>, ManifestError> {
    let documents = match file_name.rsplit_once('.') {
        Some((name, "graphql" | "gql")) => vec![(name.to_owned(), text.to_owned())],
        Some((_, "json")) => from_json(text)?,
        _ => return Err(ManifestError::Kind),
    };
    for (id, text) in &documents {
        // The guard goes before the parser, which a nested literal would overflow.
        let limits = crate::engine::guard::DocumentLimits::default();
        let is_sound = crate::engine::guard::scan(text, &limits).is_ok()
            && async_graphql::parser::parse_query(text).is_ok();
        if !is_sound {
            return Err(ManifestError::Document(id.clone()));
        }
    }
    Ok(documents)
}

fn from_json(text: &str) -> Result<Vec<(String, String)>, ManifestError> {
    let members: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| ManifestError::Form)?;
    if members.get("format").and_then(Value::as_str) == Some("apollo-persisted-query-manifest") {
        let apollo: Apollo =
            serde_json::from_value(members.into()).map_err(|_| ManifestError::Form)?;
        let operations = apollo.operations.into_iter();
        return Ok(operations.map(|one| (one.id, one.body)).collect());
    }
    members
        .into_iter()
        .map(|(id, document)| match document {
            Value::String(text) => Ok((id, text)),
            _ => Err(ManifestError::Form),
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expected: &[(&str, &str)]) {
        let found = read(name, text).unwrap();
        let expected = expected
            .iter()
            .map(|(id, text)| ((*id).into(), (*text).into()));
        assert_eq!(found, expected.collect::<Vec<(String, String)>>());
    }

    #[test]
    fn files_of_each_kind_give_documents_by_id() {
        check("Customers.graphql", "{ a }", &[("Customers", "{ a }")]);
        check("relay.json", r#"{"x1": "{ a }"}"#, &[("x1", "{ a }")]);
        let apollo = r#"{"format": "apollo-persisted-query-manifest", "version": 1, "operations":
            [{"id": "h", "name": "A", "type": "query", "body": "query A { a }"}]}"#;
        check("manifest.json", apollo, &[("h", "query A { a }")]);
    }

    #[test]
    fn what_is_no_manifest_and_no_document_is_refused() {
        for (name, text) in [
            ("a.txt", "{ a }"),
            ("a.json", "[]"),
            ("a.json", r#"{"id": 1}"#),
            ("a.json", r#"{"id": "not GraphQL {"}"#),
            ("a.graphql", ""),
        ] {
            assert!(read(name, text).is_err(), "{name} {text}");
        }
    }
}
