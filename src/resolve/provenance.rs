//! Where values come from and how old they are, as objects of the graph.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};

use crate::connector::{Connector, content};
use crate::fetch::status::SourceStatus;
use crate::record::id::GlobalId;
use crate::record::value::{Object, Value};
use crate::record::{Age, CustomValue, Identifier, IdentifierKind, Reading, Record};
use crate::resolve::Run;
use crate::resolve::item::{Entity, Member, worst_age};
use crate::resolve::policy::mask::masked_text;
use crate::resolve::policy::view::Access;
use crate::schema::Catalog;

/// An instant as the graph writes it.
pub fn instant(time: DateTime<Utc>) -> Value {
    Value::Text(time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into())
}

fn int(number: Option<u64>) -> Value {
    number.map_or(Value::Null, |number| {
        Value::Int(i32::try_from(number).unwrap_or(i32::MAX))
    })
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

/// `Source`.
pub fn source(catalog: &Catalog, connector: &Connector) -> Arc<Object> {
    let health = connector.health();
    let health = catalog
        .build("SourceHealth")
        .set("state", health.state)
        .set("since", instant(health.since))
        .set(
            "lastSuccessAt",
            health.last_success_at.map_or(Value::Null, instant),
        )
        .set(
            "lastFailure",
            health.last_failure.map_or(Value::Null, Value::from),
        )
        .set("rateLimitRemaining", int(health.rate_limit_remaining))
        .set(
            "rateLimitResetAt",
            health.rate_limit_reset_at.map_or(Value::Null, instant),
        )
        .value();
    let capabilities = catalog.entities().filter_map(|(def, object)| {
        let entity_type = object.entity.as_ref()?.entity_type.as_ref()?;
        capability(catalog, connector, &def.name, entity_type)
    });
    let capabilities = list(capabilities);
    let id = GlobalId::encode("Source", &connector.source, "source", &connector.source);
    catalog
        .build("Source")
        .set("id", Value::Text(id.into()))
        .set("key", Value::Text(connector.source.clone()))
        .set("vendor", Value::Text(connector.vendor.clone()))
        .set("displayName", Value::Text(connector.name.clone()))
        .set("category", Value::Text(connector.category.clone()))
        .set("protocol", text(connector.protocol.as_str()))
        .set("capabilities", capabilities)
        .set("health", health)
        .finish()
}

fn capability(
    catalog: &Catalog,
    connector: &Connector,
    entity: &str,
    entity_type: &Arc<str>,
) -> Option<Value> {
    let operations: Vec<_> = connector.operations_of(entity).collect();
    if operations.is_empty() {
        return None;
    }
    let mut kinds = Vec::new();
    let mut filters: Vec<Arc<str>> = Vec::new();
    let mut lookups = Vec::new();
    for operation in operations {
        let kind = match &*operation.name {
            "get" => "GET",
            "list" => "LIST",
            _ => "SEARCH",
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        match &*operation.name {
            "get" => lookups.push("REMOTE_ID"),
            "byEmail" => lookups.push("EMAIL"),
            "byExternalId" => lookups.push("EXTERNAL_ID"),
            _ => {}
        }
        for filter in &operation.filters {
            if !filters.contains(&filter.name) {
                filters.push(filter.name.clone());
            }
        }
    }
    if entity != "Customer" {
        lookups.clear();
    }
    let value = catalog
        .build("SourceCapability")
        .set("entityType", Value::Text(entity_type.clone()))
        .set("operations", list(kinds.into_iter().map(text)))
        .set("lookupIdentifiers", list(lookups.into_iter().map(text)))
        .set(
            "pushedDownFilters",
            list(filters.into_iter().map(Value::Text)),
        )
        .value();
    Some(value)
}

/// `SourceRecord`.
pub fn source_record(run: &Run, reading: &Reading) -> Value {
    let record = &reading.record;
    // The record's own times say what the fields of the same meaning say.
    let unless_hidden = |field: &str, time: &Option<Arc<str>>| {
        let def = run.catalog().named(&record.entity);
        let is_whole =
            def.is_none_or(|def| run.view.access(run.catalog(), def, field) == Access::Whole);
        Value::from(time.clone().filter(|_| is_whole))
    };
    run.catalog()
        .build("SourceRecord")
        .set(
            "source",
            run.source_object(&record.source)
                .map_or(Value::Null, Value::Object),
        )
        .set("remoteType", Value::Text(record.remote_type.clone()))
        .set("remoteId", Value::Text(record.remote_id.clone()))
        .set("remoteUrl", Value::from(record.remote_url.clone()))
        .set(
            "remoteCreatedAt",
            unless_hidden("createdAt", &record.created_at),
        )
        .set(
            "remoteUpdatedAt",
            unless_hidden("updatedAt", &record.updated_at),
        )
        .set("fetchedAt", instant(reading.fetched_at))
        .set("expiresAt", instant(reading.expires_at))
        .set("state", text(reading.age.as_str()))
        .set("stale", Value::Bool(reading.age == Age::Stale))
        .set("deleted", Value::Bool(record.deleted))
        .set("contentHash", Value::Text(content_hash(run, record)))
        .value()
}

/// `[SourceRecord!]` of an entity, most authoritative first.
pub fn source_records(run: &Run, entity: &Entity) -> Value {
    list(entity.readings().map(|reading| source_record(run, reading)))
}

/// `Freshness`.
pub fn freshness(run: &Run, entity: &Entity) -> Value {
    let age = worst_age(entity.readings());
    let oldest = entity.readings().map(|reading| reading.fetched_at).min();
    let earliest = entity.readings().map(|reading| reading.expires_at).min();
    let partial = entity
        .cluster
        .as_deref()
        .is_some_and(crate::resolve::item::Cluster::is_partial);
    run.catalog()
        .build("Freshness")
        .set("fetchedAt", oldest.map_or(Value::Null, instant))
        .set("expiresAt", earliest.map_or(Value::Null, instant))
        .set("state", text(age.as_str()))
        .set("stale", Value::Bool(age == Age::Stale))
        .set("partial", Value::Bool(partial))
        .value()
}

/// Hash of what the caller sees of a record: one over values that are hidden would let them be guessed, and watched.
fn content_hash(run: &Run, record: &Record) -> Arc<str> {
    let Some(def) = run.catalog().named(&record.entity) else {
        return record.content_hash.clone();
    };
    let is_whole = |field| run.view.access(run.catalog(), def, field) == Access::Whole;
    let shown = run.view.shape(run.catalog(), &record.data);
    let shows_custom = is_whole("customFields");
    if Arc::ptr_eq(&shown, &record.data) && shows_custom && is_whole("identifiers") {
        return record.content_hash.clone();
    }
    let custom = if shows_custom { &*record.custom } else { &[] };
    content::hash_of_part(&shown, custom, record.deleted)
}

/// The opaque version of an entity: it changes when what the caller sees of one of its records does.
pub fn version(run: &Run, entity: &Entity) -> Value {
    let mut hash = Sha256::new();
    for reading in entity.readings() {
        hash.update(reading.record.source.as_bytes());
        hash.update([0]);
        hash.update(content_hash(run, &reading.record).as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    Value::Text(hex::encode(digest.get(..12).unwrap_or_default()).into())
}

/// `[SourceStatus!]`.
pub fn statuses(run: &Run, statuses: &[SourceStatus]) -> Value {
    list(statuses.iter().map(|status| {
        run.catalog()
            .build("SourceStatus")
            .set(
                "source",
                run.source_object(&status.source)
                    .map_or(Value::Null, Value::Object),
            )
            .set("state", text(status.state))
            .set(
                "message",
                status.message.as_deref().map_or(Value::Null, Value::from),
            )
            .set("latencyMs", int(status.latency_ms.map(u64::from)))
            .set("retryAfterSeconds", int(status.retry_after_seconds))
            .set(
                "filtersAppliedLocally",
                list(status.filtered_locally.iter().cloned().map(Value::Text)),
            )
            .set("truncated", Value::Bool(status.truncated))
            .value()
    }))
}

/// `[SourceStatus!]` of an entity that is not assembled: its own record's source.
pub fn own_status(run: &Run, entity: &Entity) -> Value {
    match entity.cluster.as_deref() {
        Some(cluster) => statuses(run, &cluster.statuses),
        None => {
            let state = match entity.seed.age {
                Age::Live => "OK",
                Age::Cached => "CACHED",
                Age::Stale => "STALE",
            };
            statuses(
                run,
                &[SourceStatus::new(entity.seed.record.source.clone(), state)],
            )
        }
    }
}

/// `[CustomField!]`, restricted to some keys.
pub fn custom_fields(run: &Run, entity: &Entity, keys: Option<&[String]>) -> Value {
    let wanted =
        |custom: &&CustomValue| keys.is_none_or(|keys| keys.iter().any(|key| **key == *custom.key));
    list(entity.readings().flat_map(|reading| {
        reading.record.custom.iter().filter(wanted).map(|custom| {
            run.catalog()
                .build("CustomField")
                .set("namespace", Value::Text(reading.record.source.clone()))
                .set("key", Value::Text(custom.key.clone()))
                .set("label", Value::from(custom.label.clone()))
                .set("type", Value::Text(custom.kind.clone()))
                .set("value", custom.value.clone())
                .set("source", source_record(run, reading))
                .value()
        })
    }))
}

/// An identifier as far as the caller sees it; nothing when it repeats a value that is denied.
fn identifier(run: &Run, reading: &Reading, identifier: &Identifier) -> Option<Value> {
    let mut seen = [identifier.value.clone(), identifier.normalized.clone()];
    if let (IdentifierKind::Email, Some(def)) =
        (identifier.kind, run.catalog().named(&reading.record.entity))
    {
        for path in ["emails.address", "emails.normalized"] {
            match run.view.access(run.catalog(), def, path) {
                Access::Whole => {}
                Access::Masked(kind) => seen = seen.map(|text| masked_text(&text, kind).into()),
                Access::Denied(_) => return None,
            }
        }
    }
    let [value, normalized] = seen;
    let built = run
        .catalog()
        .build("CustomerIdentifier")
        .set("type", text(identifier.kind.as_str()))
        .set("namespace", Value::from(identifier.namespace.clone()))
        .set("value", Value::Text(value))
        .set("normalized", Value::Text(normalized))
        .set(
            "verified",
            identifier.verified.map_or(Value::Null, Value::Bool),
        )
        .set("source", source_record(run, reading))
        .value();
    Some(built)
}

/// `[CustomerIdentifier!]`, restricted to some types.
pub fn identifiers(run: &Run, entity: &Entity, types: Option<&[String]>) -> Value {
    let wanted = |kind: &str| types.is_none_or(|types| types.iter().any(|name| name == kind));
    let mut found = Vec::new();
    for reading in entity.readings() {
        let record = &reading.record;
        if wanted("REMOTE_ID") {
            let own = run
                .catalog()
                .build("CustomerIdentifier")
                .set("type", text("REMOTE_ID"))
                .set("namespace", Value::Text(record.source.clone()))
                .set("value", Value::Text(record.remote_id.clone()))
                .set("normalized", Value::Text(record.remote_id.clone()))
                .set("verified", Value::Bool(true))
                .set("source", source_record(run, reading));
            found.push(own.value());
        }
        for known in record
            .identifiers
            .iter()
            .filter(|known| wanted(known.kind.as_str()))
        {
            found.extend(identifier(run, reading, known));
        }
    }
    list(found)
}

/// `IdentityResolution`.
pub fn identity(run: &Run, entity: &Entity) -> Value {
    let Some(cluster) = entity.cluster.as_deref() else {
        return Value::Null;
    };
    let link = |member: &Member| {
        let matched = member
            .matched_on
            .iter()
            .filter_map(|matched| identifier(run, &member.reading, matched));
        run.catalog()
            .build("IdentityLink")
            .set("record", source_record(run, &member.reading))
            .set("method", text(member.method))
            .set("matchedOn", list(matched))
            .set("linkedAt", instant(cluster.resolved_at))
            .value()
    };
    let anchor = cluster
        .members
        .first()
        .map_or(Value::Null, |anchor| source_record(run, &anchor.reading));
    run.catalog()
        .build("IdentityResolution")
        .set("anchor", anchor)
        .set("links", list(cluster.members.iter().map(link)))
        .set("resolvedAt", instant(cluster.resolved_at))
        .set("bounded", Value::Bool(cluster.bounded))
        .value()
}
