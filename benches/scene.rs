//! What a run needs beside a plan: vendors, gateways, floors, Redis, and the requests with their right answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::floor;
use crate::gateway::{Caching, Gateway};
use crate::load::{Ask, once};
use crate::plan::{Query, Row, Runner};
use crate::process::{Folder, Process};
use crate::vendor::Vendors;
use crate::wire::post;
use crate::{GATEWAY_CORE, LOAD_CORE, Outcome};

const CUSTOMER: &str = include_str!("query/customer.graphql");
const LIST: &str = include_str!("query/list.graphql");
/// Walks the list; pages of 100, as the vendor has them, so that no two measured pages need the same call.
const CURSORS: &str =
    "query($after: String) { customers(first: 100, after: $after) { pageInfo { endCursor } } }";

/// Everything that runs.
#[derive(Debug)]
pub struct Scene {
    /// The vendors.
    pub vendors: Vendors,
    gateways: BTreeMap<Caching, Gateway>,
    floors: Process,
    floors_address: SocketAddr,
    _redis: Process,
    /// The variables of each connection, by query.
    variables: BTreeMap<Query, Vec<Value>>,
    /// The right answers where each connection has its own, by query.
    answers: BTreeMap<Query, Vec<Bytes>>,
    /// The right answers that are the same for all.
    payloads: BTreeMap<Query, Bytes>,
    _folder: Folder,
}

impl Scene {
    /// Starts everything and learns the right answers for so many connections.
    pub async fn start(vendors: Vendors, connections: usize) -> Outcome<Self> {
        let folder = Folder::new()?;
        let mut gateways = BTreeMap::new();
        for caching in [Caching::Cold, Caching::Cached] {
            let gateway = Gateway::start(&folder, caching, vendors.environment())?;
            gateways.insert(caching, gateway);
        }
        let cold = gateways.get(&Caching::Cold).ok_or("no gateway")?;
        let cached = gateways.get(&Caching::Cached).ok_or("no gateway")?;
        let mut variables = BTreeMap::new();
        let emails = vendors.emails(connections);
        let emails = emails.into_iter().map(|email| json!({ "email": email }));
        variables.insert(Query::Typename, vec![Value::Null; connections]);
        variables.insert(Query::Customer, emails.collect());
        variables.insert(Query::List, pages(cold, connections).await?);
        let mut answers = BTreeMap::new();
        let mut payloads = BTreeMap::new();
        for query in Query::ALL {
            let of_query: &[Value] = variables.get(&query).map_or(&[], Vec::as_slice);
            let first = of_query.first().ok_or("no connection is wanted")?;
            let mut own = Vec::new();
            for variables in of_query.iter().filter(|_| query != Query::Typename) {
                own.push(ask(cold, query, variables).await?);
            }
            answers.insert(query, own);
            ask(cached, query, first).await?;
            let payload = ask(cached, query, first).await?;
            std::fs::write(folder.file(query.key()), &payload)?;
            payloads.insert(query, payload);
        }
        let redis = redis(&folder)?;
        let (floors, floors_address) = floors(&folder, &vendors)?;
        Ok(Self {
            vendors,
            gateways,
            floors,
            floors_address,
            _redis: redis,
            variables,
            answers,
            payloads,
            _folder: folder,
        })
    }

    /// The gateway that caches in that way.
    pub fn gateway(&self, caching: Caching) -> Outcome<&Gateway> {
        Ok(self.gateways.get(&caching).ok_or("no such gateway")?)
    }

    /// The process that a row measures, and where it listens.
    pub fn measured(&self, row: Row) -> Outcome<(&Process, SocketAddr)> {
        if let Runner::Gateway(caching) = row.runner {
            let gateway = self.gateway(caching)?;
            return Ok((&gateway.process, gateway.address));
        }
        Ok((&self.floors, self.floors_address))
    }

    /// What each connection asks for a row. Rows that call vendors ask for another customer or page on each
    /// connection, since the gateway would make one call for those who ask for the same at the same time.
    pub fn asks(&self, row: Row, connections: usize) -> Outcome<Vec<Vec<Ask>>> {
        let own = matches!(row.runner, Runner::Gateway(Caching::Cold) | Runner::Hand);
        let mut asks = Vec::new();
        for connection in 0..connections {
            let at = if own { connection } else { 0 };
            let variables = self.variables.get(&row.query).and_then(|all| all.get(at));
            let variables = variables.ok_or("too many connections")?;
            let expected = match row.runner {
                Runner::Pass => None,
                _ if own => self.answers.get(&row.query).and_then(|all| all.get(at)),
                _ => self.payloads.get(&row.query),
            };
            let path = match row.runner {
                Runner::Gateway(_) => "/graphql".to_owned(),
                runner => format!("/{}/{}", runner.key(), row.query.key()),
            };
            let token = &self.gateway(Caching::Cached)?.token;
            asks.push(vec![Ask {
                request: post(&path, token, &body(row.query, variables)),
                expected: expected.cloned(),
            }]);
        }
        Ok(asks)
    }
}

/// The body of a request.
pub fn body(query: Query, variables: &Value) -> String {
    let text = match query {
        Query::Typename => "{__typename}",
        Query::Customer => CUSTOMER,
        Query::List => LIST,
    };
    json!({ "query": text, "variables": variables }).to_string()
}

/// Asks a gateway once.
pub async fn ask(gateway: &Gateway, query: Query, variables: &Value) -> Outcome<Bytes> {
    let request = post("/graphql", &gateway.token, &body(query, variables));
    once(gateway.address, &request).await
}

/// The variables of so many pages that share no vendor call.
async fn pages(gateway: &Gateway, count: usize) -> Outcome<Vec<Value>> {
    let mut pages = vec![json!({ "after": null })];
    while let Some(variables) = pages.last().filter(|_| pages.len() < count) {
        let body = json!({ "query": CURSORS, "variables": variables }).to_string();
        let request = post("/graphql", &gateway.token, &body);
        let answer: Value = serde_json::from_slice(&once(gateway.address, &request).await?)?;
        let cursor = answer.pointer("/data/customers/pageInfo/endCursor");
        let cursor = cursor.filter(|cursor| cursor.is_string());
        let cursor = cursor.ok_or("the list of customers has too few pages")?;
        pages.push(json!({ "after": cursor }));
    }
    Ok(pages)
}

fn redis(folder: &Folder) -> Outcome<Process> {
    let socket = folder.file("redis.sock").display().to_string();
    let arguments = ["--port", "0", "--save", "", "--unixsocket", &socket];
    let log = folder.file("redis.log");
    let program = Path::new("redis-server");
    let mut process = Process::start(program, &arguments, &[], (LOAD_CORE, &log))?;
    process.wait_for("eady to accept connections")?;
    Ok(process)
}

fn floors(folder: &Folder, vendors: &Vendors) -> Outcome<(Process, SocketAddr)> {
    let program = std::env::current_exe()?;
    let path = folder.file("").display().to_string();
    let redis = format!("redis+unix://{}", folder.file("redis.sock").display());
    let arguments = ["floors", "--folder", &path, "--redis", &redis];
    let environment: Vec<_> = vendors.environment().clone().into_iter().collect();
    let log = folder.file("floors.log");
    let mut process = Process::start(&program, &arguments, &environment, (GATEWAY_CORE, &log))?;
    let address = process.wait_for(floor::READY)?.parse()?;
    Ok((process, address))
}
