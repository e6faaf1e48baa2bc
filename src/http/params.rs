//! The parameters of a GraphQL request, read from a body or a query string.

use serde_json::{Map, Value};

use crate::error::Code;

use crate::http::document::Sent;
use crate::http::refusal::Refusal;

/// The parameters of one request.
#[derive(Debug)]
pub struct Params {
    /// Its document, or the name of it.
    pub document: Sent,
    /// Which operation of the document to run.
    pub operation_name: Option<String>,
    /// Values of the variables.
    pub variables: Map<String, Value>,
    /// The cursor after which a subscription goes on.
    pub after: Option<String>,
    /// Whether the answer tells what it cost, when the request says.
    pub tells_cost: Option<bool>,
}

const COST_WORDS: &str = "the cost is asked for by `tell` or `none`";

/// What a word says of whether the answer tells its cost; nothing when it is left out.
pub(crate) fn asked_cost(word: &[u8]) -> Result<Option<bool>, Refusal> {
    match word {
        b"" => Ok(None),
        b"tell" => Ok(Some(true)),
        b"none" => Ok(Some(false)),
        _ => Err(bad(COST_WORDS)),
    }
}

fn bad(message: &str) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}

/// Reads the parameters from a JSON body.
pub fn from_body(body: &[u8]) -> Result<Params, Refusal> {
    let value: Value =
        serde_json::from_slice(body).map_err(|_| bad("the request body is not valid JSON"))?;
    let Value::Object(members) = value else {
        return Err(bad("the request body is not a JSON object"));
    };
    from_members(members)
}

/// Reads the parameters from the query string of a GET, where `variables` and `extensions` are JSON texts.
pub fn from_query(query: &str) -> Result<Params, Refusal> {
    let mut members = Map::new();
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match &*name {
            "query" | "operationName" | "documentId" => Value::String(text.into_owned()),
            "variables" | "extensions" if !text.is_empty() => serde_json::from_str(&text)
                .map_err(|_| bad("`variables` and `extensions` must be JSON objects"))?,
            _ => continue,
        };
        members.insert(name.into_owned(), value);
    }
    from_members(members)
}

/// Reads the parameters from the members of a JSON object.
pub(crate) fn from_members(mut members: Map<String, Value>) -> Result<Params, Refusal> {
    match members.get("extensions") {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(_) => return Err(bad("`extensions` must be an object or null")),
    }
    let document = Sent::take(&mut members)?;
    let operation_name = match members.remove("operationName") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
        Some(_) => return Err(bad("`operationName` must be a string or null")),
    };
    let variables = match members.remove("variables") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(variables)) => variables,
        Some(_) => return Err(bad("`variables` must be an object or null")),
    };
    let tells_cost = match members.get("extensions").and_then(|more| more.get("cost")) {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => asked_cost(word.as_bytes())?,
        Some(_) => return Err(bad(COST_WORDS)),
    };
    Ok(Params {
        document,
        operation_name,
        variables,
        after: None,
        tells_cost,
    })
}
