//! A small graph that stands in for the engine: a real schema, whose fields do what a test of the HTTP surface needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Context, EmptySubscription, ID, Object, Schema, SimpleObject, Value};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tributary::{
    auth::caller::Caller,
    engine::{Answer, Request},
    error::Code,
    http::GraphqlService,
};

/// What a test sees of the requests, and how it holds them back.
#[derive(Default)]
pub struct Probe {
    /// How many requests reached the engine.
    pub executed: AtomicUsize,
    /// Told when a request enters the field `wait`.
    pub entered: Notify,
}

/// The engine's double.
pub struct Graph {
    schema: Schema<Query, Mutation, EmptySubscription>,
    /// What the requests did.
    pub probe: Arc<Probe>,
    /// One permit lets one `wait` go.
    pub gate: Arc<Semaphore>,
}

impl Graph {
    /// Makes a graph whose gate is closed.
    pub fn new() -> Self {
        let probe = Arc::new(Probe::default());
        let gate = Arc::new(Semaphore::new(0));
        let schema = Schema::build(Query, Mutation, EmptySubscription)
            .data(Arc::clone(&probe))
            .data(Arc::clone(&gate))
            .finish();
        Self {
            schema,
            probe,
            gate,
        }
    }

    async fn run(&self, request: Request, caller: Arc<Caller>) -> Answer {
        self.probe.executed.fetch_add(1, Ordering::SeqCst);
        if let Some(name) = request.query.strip_prefix("# refuse with ") {
            let code = Code::ALL.iter().find(|code| code.as_str() == name);
            return refused(*code.unwrap(), "refused as asked");
        }
        if async_graphql::parser::parse_query(&request.query).is_err() {
            return refused(Code::GraphqlParseFailed, "the document does not parse");
        }
        let id = request.request_id.clone();
        let variables = async_graphql::Variables::from_json(request.variables.into());
        let mut inner = async_graphql::Request::new(request.query)
            .variables(variables)
            .data(caller)
            .data(RequestId(id));
        inner.operation_name = request.operation_name;
        let response = self.schema.execute(inner).await;
        // A failure of the document itself has no path; a failure of a field has one.
        if response.data == Value::Null && response.errors.iter().all(|e| e.path.is_empty()) {
            return refused(Code::GraphqlValidationFailed, "the document is not valid");
        }
        Answer {
            body: Bytes::from(serde_json::to_vec(&response).unwrap()),
            refused: None,
        }
    }
}

fn refused(code: Code, message: &str) -> Answer {
    let body = json!({"errors": [{"message": message, "extensions": {"code": code.as_str()}}]});
    Answer {
        body: Bytes::from(body.to_string()),
        refused: Some(code),
    }
}

impl GraphqlService for Graph {
    fn execute(&self, request: Request, caller: Arc<Caller>) -> BoxFuture<'_, Answer> {
        Box::pin(self.run(request, caller))
    }

    fn is_query(&self, request: &Request) -> bool {
        let Ok(document) = async_graphql::parser::parse_query(&request.query) else {
            return true;
        };
        match document.operations {
            DocumentOperations::Single(operation) => operation.node.ty == OperationType::Query,
            DocumentOperations::Multiple(operations) => operations
                .values()
                .all(|operation| operation.node.ty == OperationType::Query),
        }
    }
}

struct RequestId(String);

struct Query;

#[Object]
impl Query {
    /// One customer, whoever is asked for.
    async fn customer(&self, id: ID) -> Customer {
        Customer {
            id,
            name: "Ada Lovelace".into(),
            email: Some("ada@example.com".into()),
        }
    }

    /// Who asks.
    async fn me(&self, ctx: &Context<'_>) -> String {
        ctx.data_unchecked::<Arc<Caller>>().subject.clone()
    }

    /// The id under which the engine was asked.
    async fn request_id(&self, ctx: &Context<'_>) -> String {
        ctx.data_unchecked::<RequestId>().0.clone()
    }

    /// A text of that many bytes, so that an answer's length can be chosen.
    async fn text(&self, length: usize) -> String {
        "x".repeat(length)
    }

    /// Answers when the test opens the gate.
    async fn wait(&self, ctx: &Context<'_>) -> bool {
        ctx.data_unchecked::<Arc<Probe>>().entered.notify_one();
        let gate = Arc::clone(ctx.data_unchecked::<Arc<Semaphore>>());
        gate.acquire().await.unwrap().forget();
        true
    }

    /// Panics.
    async fn panic(&self) -> bool {
        ask_for_panic()
    }
}

/// Has a return type, since the macro's code goes on after the field.
fn ask_for_panic() -> bool {
    panic!("as asked")
}

struct Mutation;

#[Object]
impl Mutation {
    /// Does nothing.
    async fn touch(&self) -> bool {
        true
    }
}

/// A person.
#[derive(SimpleObject)]
struct Customer {
    id: ID,
    name: String,
    email: Option<String>,
}
