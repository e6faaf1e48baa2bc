//! Root fields: entities by id and by identifier, the caller, the sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::Value as Argument;
use futures_util::future::join_all;

use crate::error::Code;
use crate::fetch::{Question, ReadPolicy};
use crate::record::id::GlobalId;
use crate::record::value::Value;
use crate::record::{Reading, email};
use crate::resolve::argument::{Arguments, text};
use crate::resolve::item::{Child, Entity, Item, Resolved};
use crate::resolve::policy::{BYPASS, sight};
use crate::resolve::timeline::entry::ENTRY;
use crate::resolve::{FieldError, Run, entity, identity, relation, search, timeline};

const IDS_MAX: usize = 100;

/// Names that [`compute`] knows, for the check at start.
pub const COMPUTED: &[&str] = &[
    "node",
    "nodes",
    "viewer",
    "customerByIdentifier",
    "search",
    "sources",
    "source",
];

/// Resolves a computed root field.
pub async fn compute(run: &Run, name: &str, arguments: &Arguments) -> Resolved {
    match name {
        "node" => {
            let id = arguments.text("id").unwrap_or_default();
            nodes(run, &[id]).await.pop().unwrap_or(Ok(Child::Null))
        }
        "nodes" => {
            let ids = arguments.texts("ids").unwrap_or_default();
            if ids.len() > IDS_MAX {
                let message = format!(
                    "`ids` has {} entries; at most {IDS_MAX} are allowed",
                    ids.len()
                );
                return Err(FieldError::new(Code::LimitExceeded, message));
            }
            let found: Result<Vec<Child>, FieldError> =
                nodes(run, &ids).await.into_iter().collect();
            found.map(Child::Items)
        }
        "viewer" => Ok(Child::Value(viewer(run))),
        "customerByIdentifier" => by_identifier(run, arguments).await,
        "search" => search::resolve(run, arguments).await,
        "sources" => Ok(Child::Value(sources(
            run,
            arguments.texts("categories").as_deref(),
        ))),
        "source" => {
            let key: Arc<str> = arguments.text("key").unwrap_or_default().into();
            Ok(Child::Value(
                run.source_object(&key).map_or(Value::Null, Value::Object),
            ))
        }
        other => {
            let message = format!("the gateway does not know how to compute `{other}`");
            Err(FieldError::new(Code::Internal, message))
        }
    }
}

/// Resolves one entity by the `id` argument.
pub async fn get(run: &Run, type_name: &str, arguments: &Arguments) -> Resolved {
    let policy = policy(run, arguments)?;
    let id = arguments
        .text("id")
        .and_then(|id| GlobalId::decode(&id))
        .filter(|id| id.entity == type_name);
    let found = entity::by_ids(run, &[id], policy)
        .await
        .pop()
        .unwrap_or(Ok(None))?;
    Ok(found.map_or(Child::Null, |entity| Child::Item(Item::Entity(entity))))
}

fn policy(run: &Run, arguments: &Arguments) -> Result<ReadPolicy, FieldError> {
    let policy = arguments.read_policy();
    if policy == ReadPolicy::Live && !run.caller.scopes.contains(BYPASS) {
        let message = format!("`readPolicy: LIVE` needs the scope `{BYPASS}`");
        return Err(FieldError::new(Code::Forbidden, message));
    }
    Ok(policy)
}

async fn nodes(run: &Run, ids: &[String]) -> Vec<Resolved> {
    let ids: Vec<Option<GlobalId>> = ids.iter().map(|id| GlobalId::decode(id)).collect();
    // What the caller may not see looks like what is not there, and no vendor is asked for it.
    let visible: Vec<Option<GlobalId>> = ids
        .iter()
        .map(|id| id.clone().filter(|id| may_see(run, &id.entity)))
        .collect();
    let entities = entity::by_ids(run, &visible, ReadPolicy::CacheFirst);
    let entries = visible.iter().map(|id| async move {
        match id {
            Some(id) if id.entity == ENTRY => timeline::by_id(run, id).await.map(Some),
            _ => Ok(None),
        }
    });
    let (entities, entries) = futures_util::join!(entities, join_all(entries));
    let found = entities.into_iter().zip(entries);
    visible
        .iter()
        .zip(found)
        .map(|(id, (found, entry))| match (id, found?, entry?) {
            (_, _, Some(entry)) => Ok(entry),
            (_, Some(entity), _) => Ok(Child::Item(Item::Entity(entity))),
            (Some(id), None, _) if id.entity == "Source" => {
                let source = run.source_object(&id.source.as_str().into());
                Ok(Child::Value(source.map_or(Value::Null, Value::Object)))
            }
            _ => Ok(Child::Null),
        })
        .collect()
}

fn may_see(run: &Run, type_name: &str) -> bool {
    let def = run.catalog().named(type_name);
    def.is_some_and(|def| run.view.may_see_type(def.id))
}

fn viewer(run: &Run) -> Value {
    let scopes = run
        .caller
        .scopes
        .iter()
        .map(|scope| Value::from(scope.as_str()))
        .collect();
    run.catalog()
        .build("Viewer")
        .set("subject", Value::from(run.caller.subject.as_str()))
        .set(
            "tenant",
            run.caller
                .tenant
                .as_deref()
                .map_or(Value::Null, Value::from),
        )
        .set("scopes", Value::List(scopes))
        .value()
}

fn sources(run: &Run, categories: Option<&[String]>) -> Value {
    let wanted =
        |category: &str| categories.is_none_or(|names| names.iter().any(|name| name == category));
    let objects = run
        .resolver
        .fetch
        .sources()
        .iter()
        .filter(|connector| wanted(&connector.category))
        .filter_map(|connector| run.source_object(&connector.source).map(Value::Object));
    Value::List(objects.collect())
}

/// A look-up: source, operation, key.
type Lookup = (Arc<str>, &'static str, Arc<str>);

fn refuse(message: &str) -> FieldError {
    FieldError::new(Code::InvalidArgument, message)
}

/// The look-ups that an identifier stands for.
fn lookups(run: &Run, given: &Argument) -> Result<Vec<Lookup>, FieldError> {
    let Argument::Object(given) = given else {
        return Ok(Vec::new());
    };
    if let Some(address) = given.get("email").and_then(text) {
        return by_email(run, &address);
    }
    if let Some(external) = given.get("externalId") {
        return by_external_id(run, external);
    }
    match given.get("record") {
        Some(record) => by_record(run, record),
        None => Ok(Vec::new()),
    }
}

fn by_email(run: &Run, address: &str) -> Result<Vec<Lookup>, FieldError> {
    let key: Arc<str> = email::match_key(address)
        .ok_or_else(|| refuse("`identifier.email` is not an address that can identify a customer"))?
        .into();
    if let Some((def, _)) = run.catalog().entity(identity::CUSTOMER) {
        for path in ["emails.address", "emails.normalized"] {
            run.view
                .check_path(run.catalog(), def, path, "`identifier.email`")?;
        }
    }
    if run.resolver.order.never_links(&key) {
        return Err(refuse(
            "`identifier.email` is a shared mailbox, which identifies nobody",
        ));
    }
    let sources = run.sources_with(identity::CUSTOMER, "byEmail");
    Ok(sources
        .map(|connector| (connector.source.clone(), "byEmail", key.clone()))
        .collect())
}

fn by_external_id(run: &Run, external: &Argument) -> Result<Vec<Lookup>, FieldError> {
    let namespace = member(external, "namespace");
    let value: Arc<str> = member(external, "value").trim().into();
    let issuer = run
        .sources_with(identity::CUSTOMER, "get")
        .filter(|connector| *connector.source == *namespace)
        .map(|connector| (connector.source.clone(), "get", value.clone()));
    let holders = run
        .sources_with(identity::CUSTOMER, "byExternalId")
        .filter(|connector| connector.external_namespace.as_deref() == Some(&*namespace))
        .map(|connector| (connector.source.clone(), "byExternalId", value.clone()));
    let found: Vec<Lookup> = issuer.chain(holders).collect();
    if found.is_empty() {
        return Err(refuse(
            "`identifier.externalId.namespace` is known to no source",
        ));
    }
    Ok(found)
}

fn by_record(run: &Run, record: &Argument) -> Result<Vec<Lookup>, FieldError> {
    let source = member(record, "sourceKey");
    let connector = run
        .sources_with(identity::CUSTOMER, "get")
        .find(|found| *found.source == *source)
        .ok_or_else(|| {
            refuse("`identifier.record.sourceKey` names no source that has customers")
        })?;
    Ok(vec![(
        connector.source.clone(),
        "get",
        member(record, "remoteId").into(),
    )])
}

fn member(object: &Argument, name: &str) -> String {
    match object {
        Argument::Object(members) => members.get(name).and_then(text).unwrap_or_default(),
        _ => String::new(),
    }
}

async fn by_identifier(run: &Run, arguments: &Arguments) -> Resolved {
    let policy = policy(run, arguments)?;
    let Some(given) = arguments.get("identifier") else {
        return Ok(Child::Null);
    };
    if let Argument::Object(object) = given
        && let Some(id) = object.get("id").and_then(text)
    {
        let only = Arguments(BTreeMap::from([("id".into(), Argument::String(id))]));
        return get(run, identity::CUSTOMER, &only).await;
    }
    let lookups = lookups(run, given)?;
    // The most authoritative source that knows the identifier decides; the others are asked when its customer is
    // assembled, by all that is then known of it.
    let mut ranked = lookups;
    ranked.sort_by_key(|(source, _, _)| run.resolver.order.rank(source));
    let mut failed = None;
    for (source, operation, key) in ranked {
        let question = Question {
            operation: operation.into(),
            ..relation::get(&source, &identity::CUSTOMER.into(), policy)
        };
        match run.loader.load(&question, &[key]).await.pop() {
            Some(Ok(answer)) => {
                let seeds: Vec<Reading> = entity::readings(&answer)
                    .filter(|reading| !reading.record.deleted)
                    .collect();
                if !seeds.is_empty() {
                    return one_customer(run, seeds, policy).await;
                }
            }
            Some(Err(failure)) => failed = Some(failure),
            None => {}
        }
    }
    match failed {
        Some(failure) => Err(FieldError::of(&failure)),
        None => Ok(Child::Null),
    }
}

/// The one customer that all seeds belong to; several customers are an error, never a choice.
async fn one_customer(run: &Run, seeds: Vec<Reading>, policy: ReadPolicy) -> Resolved {
    let Some((def, _)) = run.catalog().entity(identity::CUSTOMER) else {
        return Ok(Child::Null);
    };
    let mut rest = seeds;
    let mut found: Option<Arc<Entity>> = None;
    while !rest.is_empty() {
        let seed = rest.remove(0);
        let entity = Arc::new(Entity::of(def.id, seed, policy));
        let Some(entity) = entity::assemble(run, vec![entity]).await.pop() else {
            break;
        };
        rest.retain(|seed| {
            !entity.readings().any(|member| {
                member.record.source == seed.record.source
                    && member.record.remote_id == seed.record.remote_id
            })
        });
        // What the caller does not see is no match either.
        let seen = sight::visible(run, vec![Some(entity)]).await;
        let Some(entity) = seen.into_iter().next().flatten() else {
            continue;
        };
        match &found {
            None => found = Some(entity),
            Some(known) if entity::id(run, known) == entity::id(run, &entity) => {}
            Some(_) => {
                return Err(FieldError::new(
                    Code::AmbiguousMatch,
                    "the identifier matches several customers; use an id or a record instead",
                ));
            }
        }
    }
    Ok(found.map_or(Child::Null, |entity| Child::Item(Item::Entity(entity))))
}
