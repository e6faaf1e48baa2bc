//! The shop: GraphQL behind a header. Errors inside GraphQL come with status 200.

mod schema;

use std::sync::{Arc, PoisonError, RwLock};

use async_graphql::{
    EmptyMutation, EmptySubscription, Schema, Variables,
    parser::{
        parse_query,
        types::{DocumentOperations, Selection},
    },
};
use http::Method;
use serde_json::{Value, json};

use crate::sandbox::{
    company::Company,
    message::{Answer, Request},
    serving::Shared,
};

/// The shop's typed schema.
pub(crate) type ShopSchema = Schema<schema::Query, EmptyMutation, EmptySubscription>;

/// What the resolvers read.
pub(crate) type Data = Arc<RwLock<Company>>;

fn build(company: Data) -> ShopSchema {
    Schema::build(schema::Query, EmptyMutation, EmptySubscription)
        .data(company)
        .limit_depth(16)
        .limit_complexity(5_000)
        .finish()
}

/// The fields asked for at the root, joined with `+`.
pub(crate) fn operation(request: &Request) -> String {
    let names = request.json().and_then(|body| root_fields(&body));
    names.unwrap_or_else(|| "unknown".to_owned())
}

fn root_fields(body: &Value) -> Option<String> {
    let text = body.get("query")?.as_str()?;
    let wanted = body.get("operationName").and_then(Value::as_str);
    let document = parse_query(text).ok()?;
    let operation = match &document.operations {
        DocumentOperations::Single(operation) => operation,
        DocumentOperations::Multiple(operations) => operations.get(wanted?)?,
    };
    let mut names = Vec::new();
    for selection in &operation.node.selection_set.node.items {
        if let Selection::Field(field) = &selection.node {
            names.push(field.node.name.node.as_str());
        }
    }
    Some(names.join("+"))
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let error = json!({ "message": message, "extensions": { "code": code } });
    Answer::json(status, &json!({ "errors": [error] }))
}

/// Answers a request.
pub(crate) async fn answer(request: &Request, shared: &Shared) -> Answer {
    if request.header("x-shop-access-token") != shared.credentials.shop_token {
        return refusal(401, "ACCESS_DENIED", "Invalid API key or access token");
    }
    if request.path != "/graphql" {
        return refusal(404, "NOT_FOUND", "Not Found");
    }
    if request.method != Method::POST {
        return refusal(405, "METHOD_NOT_ALLOWED", "Method Not Allowed");
    }
    let Some(body) = request.json() else {
        return refusal(400, "BAD_REQUEST", "The body is not application/json");
    };
    let Some(query) = body.get("query").and_then(Value::as_str) else {
        return refusal(400, "BAD_REQUEST", "query is missing");
    };
    let variables = body.get("variables").cloned().unwrap_or(Value::Null);
    let mut asked = async_graphql::Request::new(query).variables(Variables::from_json(variables));
    if let Some(name) = body.get("operationName").and_then(Value::as_str) {
        asked = asked.operation_name(name);
    }
    let schema = shared
        .shop
        .get_or_init(|| build(Arc::clone(&shared.company)));
    let answered = schema.execute(asked).await;
    let mut answer = serde_json::to_value(&answered).unwrap_or(Value::Null);
    if let Some(answer) = answer.as_object_mut() {
        let status = json!({ "maximumAvailable": 2000.0, "currentlyAvailable": 1990.0, "restoreRate": 100.0 });
        let cost =
            json!({ "requestedQueryCost": 10, "actualQueryCost": 10, "throttleStatus": status });
        let extensions = answer.entry("extensions").or_insert_with(|| json!({}));
        if let Some(extensions) = extensions.as_object_mut() {
            extensions.insert("cost".to_owned(), cost);
        }
    }
    Answer::json(200, &answer)
}

/// Reads from the company without holding it over an await.
fn read<T>(data: &Data, from: impl FnOnce(&Company) -> T) -> T {
    from(&data.read().unwrap_or_else(PoisonError::into_inner))
}
