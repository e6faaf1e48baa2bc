//! One graph over one world in two engines: the gateway's and the reference implementation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use tributary::auth::caller::Caller;
use tributary::cache::Cache;
use tributary::cache::clock::Clock;
use tributary::cache::settings::CacheSettings;
use tributary::engine::guard::DocumentLimits;
use tributary::engine::{Engine, Request};
use tributary::fetch::Fetch;
use tributary::resolve::{IdentityOrder, Resolver};
use tributary::schema::load::{SchemaText, load};
use tributary::schema::{Catalog, TypeKind};

use super::operation::{Case, Document};
use super::random::Random;
use super::reference::Reference;
use super::world::World;

/// How many cut-down documents a difference is tried on.
const CUTS_MAX: usize = 600;

pub struct Bench {
    pub catalog: Arc<Catalog>,
    engine: Engine,
    caller: Arc<Caller>,
    reference: Reference,
}

/// What an engine said: data and the paths of its errors, or that it refused.
#[derive(Debug, PartialEq)]
pub enum Said {
    Refused(String),
    Data(Json, Vec<Json>),
}

impl Bench {
    pub async fn start(schema: &str, random: &mut Random) -> Self {
        let text = SchemaText {
            file: "graph.graphql".into(),
            text: schema.to_owned(),
        };
        let catalog = Arc::new(load(&[text]).unwrap());
        let world = Arc::new(World::new(&catalog, random));
        let json = world.json();
        let engine = engine(&catalog, world);
        let reference = Reference::start(engine.sdl(), &json).await;
        Self {
            caller: Arc::new(caller(&catalog)),
            catalog,
            engine,
            reference,
        }
    }

    /// Puts other data under the graph.
    pub fn renew(&mut self, random: &mut Random) {
        let world = Arc::new(World::new(&self.catalog, random));
        self.reference.set_world(&world.json());
        self.engine = engine(&self.catalog, world);
    }

    /// The differences among those documents; the reference works on all while the engine does one after the other.
    pub async fn differences(&mut self, documents: &[Document]) -> Vec<String> {
        let cases: Vec<Case> = documents.iter().map(Document::case).collect();
        for case in &cases {
            self.reference.ask(case);
        }
        let mut found = Vec::new();
        for (document, case) in documents.iter().zip(&cases) {
            let ours = self.ours(case).await;
            let theirs = theirs(self.reference.answer().await);
            if difference(&ours, &theirs).is_some() {
                found.push(document);
            }
        }
        let mut told = BTreeMap::new();
        for document in found {
            let least = self.shrink(document.clone()).await.case();
            let sort = sort_of(self.disagreement(&least).await);
            let report = self.report(&least).await;
            told.entry(sort).or_insert(report);
        }
        told.into_values().collect()
    }

    /// What both said, unless they agree.
    pub async fn disagreement(&mut self, case: &Case) -> Option<String> {
        self.reference.ask(case);
        let ours = self.ours(case).await;
        let theirs = theirs(self.reference.answer().await);
        difference(&ours, &theirs)
    }

    async fn report(&mut self, case: &Case) -> String {
        let said = self.disagreement(case).await.unwrap_or_default();
        let variables = Json::Object(case.variables.clone());
        let name = &case.operation_name;
        format!(
            "{}\nvariables: {variables}, operation: {name:?}\n{said}",
            case.query
        )
    }

    /// The smallest document found that still shows a difference of the same sort.
    async fn shrink(&mut self, document: Document) -> Document {
        let mut least = document;
        let sort = sort_of(self.disagreement(&least.case()).await);
        let mut tried = 0;
        'smaller: loop {
            for candidate in least.smaller() {
                tried += 1;
                if tried > CUTS_MAX {
                    return least;
                }
                if sort_of(self.disagreement(&candidate.case()).await) == sort {
                    least = candidate;
                    continue 'smaller;
                }
            }
            return least;
        }
    }

    pub async fn ours(&self, case: &Case) -> Said {
        let request = Request {
            query: case.query.clone(),
            operation_name: case.operation_name.clone(),
            variables: case.variables.clone(),
            ..Request::default()
        };
        let answer = self.engine.execute(request, self.caller.clone()).await;
        let mut body: Json = serde_json::from_slice(&answer.body).unwrap();
        if answer.refused.is_some() {
            assert_eq!(body.get("data"), None);
            return Said::Refused(body["errors"].to_string());
        }
        let paths = paths(&body["errors"]);
        Said::Data(body["data"].take(), paths)
    }
}

/// A difference without the names and numbers of the one document, which tells its sort.
fn sort_of(said: Option<String>) -> Option<String> {
    let said = said?;
    let first = said.lines().next().unwrap_or_default();
    let mut quoted = false;
    let is_sort = |letter: &char| {
        quoted ^= matches!(letter, '`' | '"');
        !quoted && !letter.is_ascii_digit()
    };
    Some(first.chars().filter(is_sort).take(80).collect())
}

fn engine(catalog: &Arc<Catalog>, world: Arc<World>) -> Engine {
    let clock = Clock::system();
    let cache = Cache::new(&CacheSettings::default(), None, clock.clone());
    let deadline = Duration::from_secs(60);
    let resolver = Resolver {
        catalog: catalog.clone(),
        fetch: Arc::new(Fetch::new(Vec::new(), cache, clock, deadline)),
        fields: world,
        order: IdentityOrder::default(),
        page_size_max: 1_000,
        policy: tributary::resolve::policy::Policy::of_scopes(catalog),
        is_audited: false,
    };
    let limits = DocumentLimits {
        fields_max: u64::MAX,
        depth_max: u32::MAX,
        cost_max: u64::MAX,
        errors_max: usize::MAX,
        ..DocumentLimits::default()
    };
    Engine::new(Arc::new(resolver), limits, deadline).unwrap()
}

/// A caller who may see everything.
fn caller(catalog: &Catalog) -> Caller {
    let mut scopes = BTreeSet::new();
    for def in catalog.types() {
        scopes.extend(def.requires.iter().flatten().cloned());
        if let TypeKind::Object(object) = &def.kind {
            let fields = object.fields.iter();
            scopes.extend(fields.flat_map(|field| field.requires.iter().flatten().cloned()));
        }
    }
    Caller {
        issuer: "tests".to_owned(),
        subject: "tester".to_owned(),
        tenant: None,
        scopes,
        roles: BTreeSet::new(),
        claims: serde_json::Map::new(),
        expires_at: DateTime::<Utc>::MAX_UTC,
    }
}

fn theirs(mut answer: Json) -> Said {
    if let Some(refused) = answer.get("refused") {
        return Said::Refused(refused.to_string());
    }
    let paths = paths(&answer["errors"]);
    Said::Data(answer["data"].take(), paths)
}

fn paths(errors: &Json) -> Vec<Json> {
    let none = Vec::new();
    let errors = errors.as_array().unwrap_or(&none);
    errors.iter().map(|error| error["path"].clone()).collect()
}

fn difference(ours: &Said, theirs: &Said) -> Option<String> {
    match (ours, theirs) {
        (Said::Refused(_), Said::Refused(_)) => None,
        (Said::Data(_, _), Said::Refused(reason)) => Some(format!("only we accept: {reason}")),
        (Said::Refused(reason), Said::Data(_, _)) => Some(format!("only we refuse: {reason}")),
        (Said::Data(our_data, our_errors), Said::Data(their_data, their_errors)) => {
            if !same(our_data, their_data) {
                return Some(format!(
                    "data:\n  ours:   {our_data}\n  theirs: {their_data}"
                ));
            }
            let ours = by_null(our_data, our_errors);
            let theirs = by_null(their_data, their_errors);
            agree(&ours, &theirs)
                .err()
                .map(|at| format!("errors: at {at}\n  ours:   {ours:?}\n  theirs: {theirs:?}"))
        }
    }
}

/// Equal values and equal order of keys; numbers are equal however they are written.
fn same(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Object(left), Json::Object(right)) => {
            let pairs = left.iter().zip(right);
            left.len() == right.len()
                && pairs.into_iter().all(|(l, r)| l.0 == r.0 && same(l.1, r.1))
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Json::Number(left), Json::Number(right)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// The errors of one null: where it stands, and the paths told for it.
type Told = Vec<(String, Vec<String>)>;

/// Sorts errors by the null that each of them left in the data.
fn by_null(data: &Json, errors: &[Json]) -> Told {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for error in errors {
        let steps = error.as_array().cloned().unwrap_or_default();
        let mut at = data;
        let mut place = Vec::new();
        for step in &steps {
            if at.is_null() {
                break;
            }
            at = match step {
                Json::String(key) => at.get(key).unwrap_or(&Json::Null),
                step => at
                    .get(usize::try_from(step.as_u64().unwrap()).unwrap())
                    .unwrap_or(&Json::Null),
            };
            place.push(step.clone());
        }
        let null = Json::Array(place).to_string();
        told.entry(null).or_default().push(error.to_string());
    }
    told.into_iter().collect()
}

/// Whether two answers tell the same errors. When a value that may not be null fails, the nearest place that may be
/// null takes the null, and of several such failures below it the specification lets an engine tell any one or more.
/// So for each null both must tell an error, and the same when the place itself failed.
fn agree(ours: &Told, theirs: &Told) -> Result<(), String> {
    for ((our_null, our_paths), (their_null, their_paths)) in ours.iter().zip(theirs) {
        if our_null != their_null {
            return Err(format!("{our_null} or {their_null}"));
        }
        let is_own = |paths: &[String]| paths.iter().any(|path| path == our_null);
        let twice = our_paths.len() != our_paths.iter().collect::<BTreeSet<_>>().len();
        if is_own(our_paths) != is_own(their_paths) || twice {
            return Err(our_null.clone());
        }
    }
    if ours.len() == theirs.len() {
        Ok(())
    } else {
        Err(format!("{} nulls or {}", ours.len(), theirs.len()))
    }
}
