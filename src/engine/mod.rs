//! Runs GraphQL operations: guard, plan, execute, respond.

pub mod coerce;
pub mod execute;
pub mod guard;
pub mod plan;
pub mod respond;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::dynamic::Schema;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use async_graphql::{Positioned, ServerError, ValidationMode, Value, Variables as SentVariables};
use bytes::Bytes;

use crate::auth::caller::Caller;
use crate::engine::coerce::Variables;
use crate::engine::guard::DocumentLimits;
use crate::engine::plan::{Plan, Planner};
use crate::engine::respond::Writer;
use crate::error::Code;
use crate::resolve::item::Item;
use crate::resolve::{Resolver, Run, entity, root};
use crate::schema::dynamic::ValidateOnly;
use crate::schema::{Catalog, Fill, TypeKind, dynamic, sdl};

/// One GraphQL request, whatever transport it came by.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The document's text.
    pub query: String,
    /// Which operation of the document to run.
    pub operation_name: Option<String>,
    /// Values of the variables, as sent.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// The id under which the log has the request.
    pub request_id: String,
}

/// The answer to one request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The JSON object with `data`, `errors`, `extensions`.
    pub body: Bytes,
    /// Set when the request was refused before execution (the answer has no `data`), with the deciding code.
    pub refused: Option<Code>,
}

/// The engine could not be built from the graph.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The schema library refuses the graph.
    #[error("the graph is not a valid schema")]
    Schema(#[source] async_graphql::dynamic::SchemaError),
    /// A field is marked as computed, and nothing computes it.
    #[error("field `{0}` is `@computed`, and the gateway does not know how to compute it")]
    Computed(String),
}

/// Runs operations over the graph.
pub struct Engine {
    resolver: Arc<Resolver>,
    /// Validates documents.
    strict: Schema,
    /// Answers introspection of documents that `strict` has validated, of which only a part is left.
    introspection: Schema,
    limits: DocumentLimits,
    deadline: Duration,
    sdl: String,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over these resolvers. A request ends after `deadline` at the latest.
    pub fn new(
        resolver: Arc<Resolver>,
        limits: DocumentLimits,
        deadline: Duration,
    ) -> Result<Self, EngineError> {
        check_computed(&resolver.catalog)?;
        let build = |mode| dynamic::build(&resolver.catalog, mode).map_err(EngineError::Schema);
        let strict = build(ValidationMode::Strict)?;
        let introspection = build(ValidationMode::Fast)?;
        let sdl = sdl::print(&resolver.catalog);
        Ok(Self {
            resolver,
            strict,
            introspection,
            limits,
            deadline,
            sdl,
        })
    }

    /// Runs one request for one caller.
    pub async fn execute(&self, request: Request, caller: Arc<Caller>) -> Answer {
        match self.run(&request, caller).await {
            Ok(body) => Answer {
                body: body.into(),
                refused: None,
            },
            Err(refusal) => refusal.answer(&request.request_id),
        }
    }

    async fn run(&self, request: &Request, caller: Arc<Caller>) -> Result<Vec<u8>, Refusal> {
        let document = self.parse(&request.query)?;
        let operation = choose(&document, request.operation_name.as_deref())?;
        self.validate(request, &document).await?;
        let catalog = &*self.resolver.catalog;
        let variables = Variables::of(catalog, &operation.node, &request.variables);
        let plan = Planner {
            catalog,
            document: &document,
            variables: &variables,
            caller: &caller,
        }
        .plan(&operation.node)
        .ok_or_else(|| Refusal::of(Code::Internal, "the graph has no query root"))?;
        let cost = plan::cost(catalog, &plan.root, 1);
        if cost > self.limits.cost_max {
            let message = format!(
                "the query can cost {cost}, and at most {} is allowed",
                self.limits.cost_max
            );
            return Err(Refusal::of(Code::LimitExceeded, message));
        }
        let introspection = self
            .introspect(request, &document, operation, &plan)
            .await?;
        let run = Run::new(
            self.resolver.clone(),
            caller.clone(),
            Instant::now() + self.deadline,
        );
        let level = execute::level(&run, &plan.root, vec![Item::Root]).await;
        let writer = Writer::new(
            catalog,
            &introspection,
            &request.request_id,
            self.limits.errors_max,
        );
        Ok(writer.answer(&plan.root, &level))
    }

    fn parse(&self, text: &str) -> Result<ExecutableDocument, Refusal> {
        let too_much = |error: guard::TooMuch| Refusal::of(Code::LimitExceeded, error.to_string());
        guard::scan(text, &self.limits).map_err(too_much)?;
        let document = parse_query(text).map_err(|error| Refusal {
            code: Code::GraphqlParseFailed,
            errors: vec![ServerError::from(error)],
        })?;
        guard::count(&document, &self.limits).map_err(too_much)?;
        Ok(document)
    }

    async fn validate(
        &self,
        request: &Request,
        document: &ExecutableDocument,
    ) -> Result<(), Refusal> {
        let mut prepared = self.prepared(request, document.clone());
        prepared = prepared.data(ValidateOnly);
        let response = self.strict.execute(prepared).await;
        if response.errors.is_empty() {
            return Ok(());
        }
        Err(Refusal {
            code: Code::GraphqlValidationFailed,
            errors: response.errors,
        })
    }

    fn prepared(&self, request: &Request, document: ExecutableDocument) -> async_graphql::Request {
        let mut prepared = async_graphql::Request::new(request.query.clone());
        prepared.set_parsed_query(document);
        prepared.operation_name.clone_from(&request.operation_name);
        let variables = serde_json::Value::Object(request.variables.clone());
        prepared.variables(SentVariables::from_json(variables))
    }

    /// Lets the schema library answer `__schema` and `__type`, alone.
    async fn introspect(
        &self,
        request: &Request,
        document: &ExecutableDocument,
        operation: &Positioned<OperationDefinition>,
        plan: &Plan,
    ) -> Result<serde_json::Map<String, serde_json::Value>, Refusal> {
        if plan.introspection.is_empty() {
            return Ok(serde_json::Map::new());
        }
        let mut only = operation.clone();
        only.node
            .selection_set
            .node
            .items
            .clone_from(&plan.introspection);
        let alone = ExecutableDocument {
            operations: DocumentOperations::Single(only),
            fragments: document.fragments.clone(),
        };
        let mut prepared = self.prepared(request, alone);
        prepared.operation_name = None;
        let response = self.introspection.execute(prepared).await;
        if !response.errors.is_empty() {
            return Err(Refusal {
                code: Code::GraphqlValidationFailed,
                errors: response.errors,
            });
        }
        match response.data {
            Value::Object(_) => match response.data.into_json() {
                Ok(serde_json::Value::Object(members)) => Ok(members),
                _ => Ok(serde_json::Map::new()),
            },
            _ => Ok(serde_json::Map::new()),
        }
    }

    /// Whether the document's operation is a query, so that it may travel by GET; what does not parse is left for
    /// `execute` to refuse.
    pub fn is_query(&self, request: &Request) -> bool {
        let Ok(document) = self.parse(&request.query) else {
            return true;
        };
        choose(&document, request.operation_name.as_deref())
            .is_ok_and(|operation| operation.node.ty == OperationType::Query)
            || choose(&document, request.operation_name.as_deref()).is_err()
    }

    /// The SDL of the graph as callers see it.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// The resolvers the engine runs on.
    pub fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }
}

fn choose<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<&'d Positioned<OperationDefinition>, Refusal> {
    let refuse = |message: String| Refusal::of(Code::BadRequest, message);
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(operation),
        (DocumentOperations::Single(_), Some(name)) => {
            Err(refuse(format!("the document has no operation `{name}`")))
        }
        (DocumentOperations::Multiple(operations), Some(name)) => operations
            .get(name)
            .ok_or_else(|| refuse(format!("the document has no operation `{name}`"))),
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            match (all.next(), all.next()) {
                (Some(operation), None) => Ok(operation),
                _ => Err(refuse(
                    "the document has several operations; `operationName` must say which to run"
                        .to_owned(),
                )),
            }
        }
    }
}

/// A request that was not executed.
#[derive(Debug)]
struct Refusal {
    code: Code,
    errors: Vec<ServerError>,
}

impl Refusal {
    fn of(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            errors: vec![ServerError::new(message, None)],
        }
    }

    fn answer(self, request_id: &str) -> Answer {
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

/// Every `@computed` field must be one that a resolver knows.
fn check_computed(catalog: &Catalog) -> Result<(), EngineError> {
    for def in catalog.types() {
        let TypeKind::Object(object) = &def.kind else {
            continue;
        };
        let known: &[&str] = match (&*def.name, object.entity.is_some()) {
            ("Query", _) => root::COMPUTED,
            (_, true) => entity::COMPUTED,
            (_, false) => &[
                "edges",
                "nodes",
                "pageInfo",
                "totalCount",
                "sourceStatuses",
                "cursor",
                "node",
            ],
        };
        for field in object
            .fields
            .iter()
            .filter(|field| field.fill == Fill::Computed)
        {
            if !known.contains(&&*field.name) {
                return Err(EngineError::Computed(format!(
                    "{}.{}",
                    def.name, field.name
                )));
            }
        }
    }
    Ok(())
}
