//! Runs GraphQL operations: guard, plan, execute, respond.

pub mod bind;
pub mod coerce;
pub mod cost;
pub mod document;
pub mod execute;
pub mod guard;
pub mod legible;
pub mod plan;
pub mod respond;
pub mod reuse;
pub mod right;
pub mod stream;

pub(crate) mod refusal;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::dynamic::Schema;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use async_graphql::{Positioned, ServerError, ValidationMode, Value, Variables as SentVariables};
use bytes::Bytes;
use metrics::counter;

use crate::auth::caller::Caller;
use crate::engine::bind::Bound;
use crate::engine::coerce::Variables;
use crate::engine::cost::Spenders;
use crate::engine::document::{Document, Documents, Numbers};
use crate::engine::execute::Execution;
use crate::engine::guard::DocumentLimits;
use crate::engine::legible::legible;
use crate::engine::plan::Plan;
use crate::engine::refusal::Refusal;
use crate::engine::respond::Writer;
use crate::engine::reuse::{AnswerKey, Answers};
use crate::engine::right::{Overspent, Rights};
use crate::error::Code;
use crate::resolve::item::Item;
use crate::resolve::{Resolver, Run, audit, entity, root};
use crate::schema::dynamic::ValidateOnly;
use crate::schema::{Catalog, Fill, TypeKind, dynamic, sdl};
use crate::transport::charge::Bill;
use crate::transport::terms::Terms;

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
    /// The cursor after which a subscription goes on, when the transport has one (`Last-Event-ID`).
    pub after: Option<String>,
    /// Whether the answer tells what it cost.
    pub tells_cost: bool,
    /// What the caller may do beside reading fields.
    pub rights: Rights,
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

/// An answer and the cost its query could have had.
struct Ran {
    body: Bytes,
    cost: u64,
    /// Name of the operation; empty when it has none.
    operation: String,
}

/// Memory for documents and their plans.
const DOCUMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Memory for answers that may be given again.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Runs operations over the graph.
pub struct Engine {
    resolver: Arc<Resolver>,
    /// Validates documents.
    strict: Schema,
    /// Answers introspection of documents that `strict` has validated, of which only a part is left.
    introspection: Schema,
    documents: Documents,
    numbers: Numbers,
    answers: Answers,
    spenders: Spenders,
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
            documents: Documents::new(DOCUMENT_BYTES_MAX),
            numbers: Numbers::default(),
            answers: Answers::new(ANSWER_BYTES_MAX),
            spenders: Spenders::default(),
            limits,
            deadline,
            sdl,
        })
    }

    /// Runs one request for one caller.
    pub async fn execute(&self, request: Request, caller: Arc<Caller>) -> Answer {
        let terms = Terms::from(Instant::now() + self.deadline);
        let bill = terms.bill.clone();
        match self.run(&request, caller.clone(), terms).await {
            Ok(ran) => {
                self.spenders.count(&caller, &ran.operation, &bill);
                Answer {
                    body: match request.tells_cost {
                        true => cost::tell(&ran.body, ran.cost, &bill),
                        false => ran.body,
                    },
                    refused: None,
                }
            }
            Err(refusal) => refusal
                .for_rights(&request.rights)
                .answer(&request.request_id),
        }
    }

    async fn run(
        &self,
        request: &Request,
        caller: Arc<Caller>,
        terms: Terms,
    ) -> Result<Ran, Refusal> {
        let document = self.document(&request.query).await?;
        let name = request.operation_name.as_deref();
        let operation = document.operation(name)?;
        let catalog = &*self.resolver.catalog;
        let variables = Variables::coerce(catalog, &operation.node, &request.variables);
        let variables = variables.map_err(unfit)?;
        let numbered = document.plan(catalog, name, &variables, &self.numbers)?;
        let plan = &numbered.plan;
        let bound = Bound::new(catalog, plan, &variables, &caller);
        let cost = bound.cost(catalog, &plan.root, 1);
        self.admit(&request.rights, plan, cost).await?;
        let key = AnswerKey {
            plan: numbered.number,
            variables: variables.canonical(),
            view: self.resolver.policy.view_key(&caller),
        };
        // An answer that is given again reads nothing that could be told.
        let is_reusable = !plan.is_volatile && !self.resolver.is_audited;
        let ran = |body| Ran {
            body,
            cost,
            operation: document.name_of(name).to_owned(),
        };
        let bill = terms.bill.clone();
        if is_reusable && let Some(body) = self.again(&key, &bill) {
            return Ok(ran(body));
        }
        let introspection = self.introspect(request, &document, operation, plan).await?;
        let run = Run::new(self.resolver.clone(), caller, terms);
        let execution = Execution {
            run: &run,
            bound: &bound,
        };
        let level = execute::level(execution, &plan.root, vec![Item::Root]).await;
        let writer = Writer::new(
            catalog,
            &bound,
            &introspection,
            &request.request_id,
            self.limits.errors_max,
        );
        let written = writer.answer(&plan.root, &level);
        let body = Bytes::from(written.body);
        if self.resolver.is_audited {
            audit::tell(&run, document.name_of(name), &request.request_id);
        }
        if is_reusable
            && !written.has_errors
            && let Some(ground) = run.loader.ground()
        {
            self.answers.put(key, body.clone(), ground, bill.savings());
        }
        Ok(ran(body))
    }

    /// The same answer as before, when all of it still stands; the bill learns what that saves.
    fn again(&self, key: &AnswerKey, bill: &Bill) -> Option<Bytes> {
        let (body, savings) = self.answers.get(key, self.resolver.fetch.now())?;
        counter!("tributary_answers_reused_total").increment(1);
        for saving in &savings {
            bill.save(saving);
        }
        Some(body)
    }

    /// Holds a planned request to the limits of all and to the rights of its sender, before any source is asked.
    async fn admit(&self, rights: &Rights, plan: &Plan, cost: u64) -> Result<(), Refusal> {
        if cost > self.limits.cost_max {
            let message = format!(
                "the query can cost {cost}, and at most {} is allowed",
                self.limits.cost_max
            );
            return Err(Refusal::of(Code::LimitExceeded, message));
        }
        if !rights.introspection && !plan.introspection.is_empty() {
            let message = "this caller may not ask for the schema";
            return Err(Refusal::of(Code::Forbidden, message));
        }
        if let Some(purse) = &rights.purse {
            let refuse = |spent: Overspent| Refusal::of(Code::RateLimited, spent.to_string());
            purse.spend(cost).await.map_err(refuse)?;
        }
        Ok(())
    }

    /// The document of that text: guarded, parsed and validated, unless that was done lately.
    async fn document(&self, text: &str) -> Result<Arc<Document>, Refusal> {
        if let Some(known) = self.documents.get(text) {
            return Ok(known);
        }
        let ast = self.parse(text)?;
        self.validate(text, &ast).await?;
        let document = Arc::new(Document::new(ast));
        self.documents.put(text, document.clone());
        Ok(document)
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

    /// Validates a document without variables: those are coerced for each request.
    async fn validate(&self, text: &str, document: &ExecutableDocument) -> Result<(), Refusal> {
        let mut prepared = async_graphql::Request::new(text).data(ValidateOnly);
        prepared.set_parsed_query(legible(&self.resolver.catalog, document.clone()));
        // The library wants to know which operation to run, and stops before it runs it.
        if let DocumentOperations::Multiple(operations) = &document.operations {
            prepared.operation_name = operations.keys().next().map(ToString::to_string);
        }
        let response = self.strict.execute(prepared).await;
        if response.errors.is_empty() {
            return Ok(());
        }
        Err(Refusal {
            code: Code::GraphqlValidationFailed,
            errors: response.errors,
        })
    }

    /// Lets the schema library answer `__schema` and `__type`, alone.
    async fn introspect(
        &self,
        request: &Request,
        document: &Document,
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
            fragments: document.ast().fragments.clone(),
        };
        let mut prepared = async_graphql::Request::new(request.query.clone());
        prepared.set_parsed_query(alone);
        let variables = serde_json::Value::Object(request.variables.clone());
        let prepared = prepared.variables(SentVariables::from_json(variables));
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

    /// What the document's operation is; nothing when it can't be told, which `execute` then refuses with the reason.
    pub fn kind(&self, request: &Request) -> Option<OperationType> {
        let kind = |ast: &ExecutableDocument| {
            let operation = document::choose(ast, request.operation_name.as_deref()).ok()?;
            Some(operation.node.ty)
        };
        match self.documents.get(&request.query) {
            Some(known) => kind(known.ast()),
            None => kind(&self.parse(&request.query).ok()?),
        }
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

/// The refusal of variables that don't fit.
fn unfit(errors: Vec<ServerError>) -> Refusal {
    Refusal {
        code: Code::GraphqlValidationFailed,
        errors,
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
                "subject",
                "source",
                "lastContactedAt",
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
