//! Speaks to vendors that serve GraphQL.

use crate::protocol::error::DecodeError;
use crate::protocol::json;
use crate::protocol::limits::Limits;
use crate::protocol::tree::Tree;

/// A decoded GraphQL response; data and errors may both be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphqlReply {
    /// What was asked for; null when the vendor sent none.
    pub data: Tree,
    /// What went wrong, in the vendor's order.
    pub errors: Vec<GraphqlError>,
    /// What the vendor says beside the answer, such as the query's cost; null when nothing.
    pub extensions: Tree,
}

/// One error of a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphqlError {
    /// `extensions.code`, or `code` or `type` of the error itself, as vendors differ.
    pub code: Option<String>,
    /// The vendor's words; for logs of the operator's choice, never for callers.
    pub message: Option<String>,
    /// The root field it belongs to, as its alias.
    pub path_root: Option<String>,
    /// What else the vendor says about it, such as when to come back.
    pub extensions: Tree,
}

/// Writes the request's JSON body; values travel as variables and never enter the document's text.
pub fn encode(document: &str, variables: &Tree, operation_name: Option<&str>) -> Vec<u8> {
    let mut members: Vec<(Box<str>, Tree)> = vec![("query".into(), document.into())];
    if !variables.is_null() {
        members.push(("variables".into(), variables.clone()));
    }
    if let Some(name) = operation_name {
        members.push(("operationName".into(), name.into()));
    }
    json::encode(&Tree::Map(members))
}

/// Decodes a response; `errors` as bare text or one object is read as one error, as some vendors send them.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<GraphqlReply, DecodeError> {
    let mut tree = json::decode(bytes, limits)?;
    let data = tree.take("data");
    let errors = tree.take("errors");
    if data.is_none() && errors.is_none() {
        return Err(DecodeError::NotGraphql);
    }
    let errors = match errors.unwrap_or_default() {
        Tree::Null => Vec::new(),
        Tree::List(items) => items.into_iter().map(read_error).collect(),
        one @ (Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::Map(_)) => {
            vec![read_error(one)]
        }
    };
    Ok(GraphqlReply {
        data: data.unwrap_or_default(),
        errors,
        extensions: tree.take("extensions").unwrap_or_default(),
    })
}

fn read_error(mut tree: Tree) -> GraphqlError {
    let text = |value: Option<&Tree>| value.and_then(Tree::as_text).map(String::from);
    if let Some(message) = text(Some(&tree)) {
        return GraphqlError {
            message: Some(message),
            ..GraphqlError::default()
        };
    }
    let extensions = tree.take("extensions").unwrap_or_default();
    GraphqlError {
        code: text(extensions.get("code"))
            .or_else(|| text(tree.get("code")))
            .or_else(|| text(tree.get("type"))),
        message: text(tree.get("message")),
        path_root: text(tree.get("path").and_then(|path| path.at(0))),
        extensions,
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;

    fn read(text: &str) -> GraphqlReply {
        decode(text.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_value_travels_as_a_variable() {
        let variables = Tree::Map(vec![("id".into(), "\"}) { secrets }".into())]);
        let body = encode("query($id: ID!) { a(id: $id) }", &variables, Some("Q"));
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"query":"query($id: ID!) { a(id: $id) }","variables":{"id":"\"}) { secrets }"},"operationName":"Q"}"#
        );
    }

    #[test]
    fn data_and_errors_are_read_together() {
        let reply = read(
            r#"{"data":{"a":1.10,"b":null},"errors":[{"message":"m","path":["b",0],"extensions":{"code":"THROTTLED","after":3}}],"extensions":{"cost":7}}"#,
        );
        assert_eq!(reply.data.get("a"), Some(&Tree::Number("1.10".into())));
        assert_eq!(reply.errors[0].code.as_deref(), Some("THROTTLED"));
        assert_eq!(reply.errors[0].path_root.as_deref(), Some("b"));
        assert_eq!(
            reply.errors[0].extensions.get("after"),
            Some(&Tree::Number("3".into()))
        );
        assert_eq!(
            reply.extensions.get("cost"),
            Some(&Tree::Number("7".into()))
        );
    }

    #[test]
    fn errors_in_other_shapes_are_still_errors() {
        assert_eq!(
            read(r#"{"errors":"no such key"}"#).errors[0]
                .message
                .as_deref(),
            Some("no such key")
        );
        assert_eq!(
            read(r#"{"errors":[{"type":"NOT_FOUND"}]}"#).errors[0]
                .code
                .as_deref(),
            Some("NOT_FOUND")
        );
        assert!(read(r#"{"data":null,"errors":null}"#).errors.is_empty());
    }

    #[test]
    fn json_without_data_or_errors_is_no_response() {
        for text in ["[]", "{}", "1", r#"{"message":"Bad credentials"}"#] {
            assert_eq!(
                decode(text.as_bytes(), &Limits::default()),
                Err(DecodeError::NotGraphql)
            );
        }
    }
}
