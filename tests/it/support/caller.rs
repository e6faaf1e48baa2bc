//! Callers for questions without HTTP.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use serde_json::{Map, Value};
use tributary::auth::caller::Caller;
use tributary::engine::{Engine, Request};

/// A caller with those scopes, roles and claims.
pub fn caller(scopes: &[&str], roles: &[&str], claims: &[(&str, Value)]) -> Arc<Caller> {
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let claims: Map<String, Value> = claims
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    Arc::new(Caller {
        issuer: "tests".into(),
        subject: "tester".into(),
        tenant: None,
        scopes: texts(scopes),
        roles: texts(roles),
        claims,
        expires_at: Utc::now() + TimeDelta::hours(1),
    })
}

/// The answer's text.
pub async fn text(engine: &Engine, query: &str, caller: &Arc<Caller>) -> String {
    let request = Request {
        query: query.to_owned(),
        ..Request::default()
    };
    let answer = engine.execute(request, caller.clone()).await;
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The answer.
pub async fn ask(engine: &Engine, query: &str, caller: &Arc<Caller>) -> Value {
    serde_json::from_str(&text(engine, query, caller).await).unwrap()
}
