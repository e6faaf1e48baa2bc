//! Behaviour that is more than "fetch and map": identity, merging, relations, lists, provenance. A resolver takes all
//! parents of a level at once and answers each of them.

pub mod argument;
pub mod audit;
pub mod condition;
pub mod consent;
pub mod entity;
pub mod field;
pub mod identity;
pub mod item;
pub mod list;
pub mod merge;
pub mod order;
pub mod page;
pub mod policy;
pub mod provenance;
pub mod relation;
pub mod root;
pub mod search;
pub mod stats;
pub mod timeline;
pub mod whole;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::caller::Caller;
use crate::connector::Connector;
use crate::error::Code;
use crate::fetch::loader::Loader;
use crate::fetch::status::{SourceStatus, code_of, message_of};
use crate::fetch::{Failure, Fetch};
use crate::record::email;
use crate::record::value::{Object, TypeId};
use crate::resolve::audit::Reads;
use crate::resolve::field::Fields;
use crate::resolve::item::Entity;
use crate::resolve::policy::Policy;
use crate::resolve::policy::sight::RecordKey;
use crate::resolve::policy::view::View;
use crate::schema::Catalog;
use crate::transport::terms::Terms;

/// Why one field of one parent has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The stable code.
    pub code: Code,
    /// What callers are told.
    pub message: String,
    /// The source at fault, when one is.
    pub source: Option<Arc<str>>,
    /// Its operation.
    pub operation: Option<Arc<str>>,
    /// When to try again.
    pub retry_after_seconds: Option<u64>,
}

impl FieldError {
    /// An error that no source is at fault for.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
            operation: None,
            retry_after_seconds: None,
        }
    }

    /// The error that a failed source's status stands for, where there is no place for the status itself.
    pub fn of_status(status: &SourceStatus) -> Self {
        let message = status.message.clone();
        Self {
            code: status.code(),
            message: message.unwrap_or_else(|| format!("source `{}` failed", status.source)),
            source: Some(status.source.clone()),
            operation: None,
            retry_after_seconds: status.retry_after_seconds,
        }
    }

    /// The error that a failed question stands for.
    pub fn of(failure: &Failure) -> Self {
        Self {
            code: code_of(failure.class),
            message: message_of(failure),
            source: Some(failure.source.clone()),
            operation: Some(failure.operation.clone()),
            retry_after_seconds: failure.retry_after_seconds,
        }
    }
}

/// How records of several sources become one customer.
#[derive(Debug, Clone, Default)]
pub struct IdentityOrder {
    /// Keys of the sources whose records anchor customers, most authoritative first.
    pub anchors: Vec<Arc<str>>,
    /// All source keys in the order in which their values win.
    pub sources: Vec<Arc<str>>,
    /// Local parts that several people share, beside the usual ones.
    pub roles: Vec<String>,
    /// Match keys that link nothing.
    pub blocked: Vec<String>,
}

impl IdentityOrder {
    /// Whether an e-mail match key belongs to several people.
    pub fn is_shared(&self, key: &str) -> bool {
        let local = key.split('@').next().unwrap_or(key);
        email::is_shared(key)
            || self
                .roles
                .iter()
                .any(|role| role.eq_ignore_ascii_case(local))
    }

    /// Whether an e-mail match key may never link records.
    pub fn never_links(&self, key: &str) -> bool {
        self.is_shared(key) || self.blocked.iter().any(|blocked| blocked == key)
    }

    /// The place of a source in the order; unknown sources come last.
    pub fn rank(&self, source: &str) -> usize {
        self.sources
            .iter()
            .position(|key| &**key == source)
            .unwrap_or(usize::MAX)
    }
}

/// What resolvers share between requests.
#[derive(Debug)]
pub struct Resolver {
    /// The graph.
    pub catalog: Arc<Catalog>,
    /// The sources and their cache.
    pub fetch: Arc<Fetch>,
    /// Where fields get their values.
    pub fields: Arc<dyn Fields>,
    /// Which source wins.
    pub order: IdentityOrder,
    /// The largest page a caller may ask for.
    pub page_size_max: usize,
    /// Who sees which records, and what of them.
    pub policy: Policy,
    /// Whether it is told who read what.
    pub is_audited: bool,
}

/// One request's view of the resolvers.
#[derive(Debug)]
pub struct Run {
    /// What requests share.
    pub resolver: Arc<Resolver>,
    /// Gathers this request's questions.
    pub loader: Loader,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// What the caller may see.
    pub view: View,
    /// What the rules said of records, so that each is judged once.
    verdicts: Mutex<BTreeMap<(TypeId, RecordKey), bool>>,
    reads: Mutex<Reads>,
    source_objects: Mutex<BTreeMap<Arc<str>, Arc<Object>>>,
}

impl Run {
    /// Starts a request, whose calls are made on these terms.
    pub fn new(resolver: Arc<Resolver>, caller: Arc<Caller>, terms: Terms) -> Self {
        let loader = Loader::new(resolver.fetch.clone(), terms);
        let view = resolver.policy.view(&caller);
        Self {
            resolver,
            loader,
            caller,
            view,
            verdicts: Mutex::default(),
            reads: Mutex::default(),
            source_objects: Mutex::default(),
        }
    }

    /// The graph.
    pub fn catalog(&self) -> &Catalog {
        &self.resolver.catalog
    }

    /// Notes entities whose values go into the answer, when that is to be told.
    fn note_read(&self, entities: &[Arc<Entity>]) {
        if self.resolver.is_audited {
            let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.note(entities);
        }
    }

    fn take_reads(&self) -> Reads {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *reads)
    }

    fn verdict(&self, ty: TypeId, key: &RecordKey) -> Option<bool> {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.get(&(ty, key.clone())).copied()
    }

    fn remember(&self, ty: TypeId, key: RecordKey, lets_through: bool) {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.insert((ty, key), lets_through);
    }

    /// The sources that offer an operation, in configured order.
    pub fn sources_with<'a>(
        &'a self,
        entity: &'a str,
        operation: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Connector>> {
        self.resolver
            .fetch
            .sources()
            .iter()
            .filter(move |connector| connector.operation(entity, operation).is_some())
    }

    /// The graph's object for a source, built once for a request.
    pub fn source_object(&self, key: &Arc<str>) -> Option<Arc<Object>> {
        let mut built = self
            .source_objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = built.get(key) {
            return Some(object.clone());
        }
        let object = provenance::source(self.catalog(), self.resolver.fetch.source(key)?);
        built.insert(key.clone(), object.clone());
        Some(object)
    }
}
