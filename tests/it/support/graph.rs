//! A small graph that stands in for the engine: a real schema, whose fields do what a test of the HTTP surface needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Context, EmptySubscription, ID, Object, Schema, SimpleObject, Value};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tributary::{
    auth::caller::Caller,
    engine::{
        Answer, Request,
        stream::{Ended, Event, Events},
    },
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
    /// How many subscriptions are held.
    pub held: AtomicUsize,
    /// Told when a subscription is let go.
    pub released: Notify,
    /// How many answers subscriptions have given.
    pub emitted: AtomicUsize,
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

/// Counts the time that a subscription is held; its drop says that nobody holds it any more.
struct Held(Arc<Probe>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
        self.0.released.notify_one();
    }
}

impl Graph {
    /// A subscription whose answers its root field's name chooses: `count`, `fail`, `silent`, `flood`, else a refusal.
    async fn script(&self, request: Request) -> Result<Events, Answer> {
        let probe = Arc::clone(&self.probe);
        probe.held.fetch_add(1, Ordering::SeqCst);
        let held = Arc::new(Held(Arc::clone(&probe)));
        let silence = Arc::clone(&held);
        let start: u64 = request.after.as_deref().map_or(0, |at| at.parse().unwrap());
        let numbers = move |total: u64, padding: usize| {
            stream::iter(start + 1..=total).map(move |n| {
                let _ = &held;
                probe.emitted.fetch_add(1, Ordering::SeqCst);
                let data = json!({"data": {"count": n, "padding": "x".repeat(padding)}});
                Ok(Event {
                    body: data.to_string().into(),
                    cursor: Some(n.to_string().into()),
                })
            })
        };
        Ok(match &request.query {
            query if query.contains("count") => numbers(3, 0).boxed(),
            query if query.contains("flood") => numbers(u64::MAX, 64 * 1024).boxed(),
            query if query.contains("silent") => {
                drop(numbers);
                stream::pending().inspect(move |_| _ = &silence).boxed()
            }
            query if query.contains("fail") => {
                let why = Ended {
                    code: Code::SourceUnavailable,
                    message: "the change log is gone".to_owned(),
                };
                numbers(start + 1, 0)
                    .chain(stream::iter([Err(why)]))
                    .boxed()
            }
            _ => {
                let code = Code::GraphqlValidationFailed;
                return Err(refused(code, "there is no such subscription"));
            }
        })
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

    fn kind(&self, request: &Request) -> Option<OperationType> {
        let document = async_graphql::parser::parse_query(&request.query).ok()?;
        match document.operations {
            DocumentOperations::Single(operation) => Some(operation.node.ty),
            DocumentOperations::Multiple(operations) => {
                let (_, operation) = operations.iter().next()?;
                Some(operation.node.ty)
            }
        }
    }

    fn subscribe(
        &self,
        request: Request,
        _caller: Arc<Caller>,
    ) -> BoxFuture<'_, Result<Events, Answer>> {
        Box::pin(self.script(request))
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
