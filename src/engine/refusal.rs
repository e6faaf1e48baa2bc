//! A request that is not executed, and what its sender is told.

use async_graphql::{Pos, ServerError};

use crate::engine::Answer;
use crate::engine::right::Rights;
use crate::error::Code;

/// Why a request was not executed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) errors: Vec<ServerError>,
}

impl Refusal {
    pub(crate) fn of(code: Code, message: impl Into<String>) -> Self {
        Self::at(code, message, None)
    }

    pub(crate) fn at(code: Code, message: impl Into<String>, position: Option<Pos>) -> Self {
        Self {
            code,
            errors: vec![ServerError::new(message, position)],
        }
    }

    /// The refusal as a caller of those rights may read it.
    ///
    /// A suggestion names what the graph has, and so does the list of what would be right in its place.
    pub(crate) fn for_rights(mut self, rights: &Rights) -> Self {
        if !rights.suggestions {
            for error in &mut self.errors {
                let kept = error
                    .message
                    .split(" Did you mean")
                    .next()
                    .unwrap_or_default();
                error.message = kept.to_owned();
            }
        }
        self
    }

    /// The answer without `data`.
    pub(crate) fn answer(self, request_id: &str) -> Answer {
        let errors: Vec<serde_json::Value> = self
            .errors
            .iter()
            .map(|error| {
                let locations: Vec<_> = error
                    .locations
                    .iter()
                    .map(|at| serde_json::json!({"line": at.line, "column": at.column}))
                    .collect();
                let mut said = serde_json::json!({
                    "message": error.message,
                    "extensions": {"code": self.code.as_str(), "requestId": request_id},
                });
                if let Some(said) = said.as_object_mut().filter(|_| !locations.is_empty()) {
                    said.insert("locations".to_owned(), locations.into());
                }
                said
            })
            .collect();
        let body = serde_json::json!({ "errors": errors }).to_string();
        Answer {
            body: body.into(),
            refused: Some(self.code),
        }
    }
}
