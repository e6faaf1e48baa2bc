//! Compiles a connector file, telling everything that is wrong with it on the way: one walk does both, so that what is
//! checked and what runs can't differ.

mod call;
mod entity;
pub(crate) mod graph;
mod mapping;
mod operation;
mod page;
mod pushdown;
pub(crate) mod report;
mod rule;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use url::Url;

use crate::connector::Compiled;
use crate::connector::compile::call::Names;
use crate::connector::compile::mapping::{Surroundings, inverses};
use crate::connector::compile::operation::{Of, Shared};
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::language::{Language, Limits};
use crate::connector::map::RecordMap;
use crate::connector::operation::Operation;
use crate::connector::spec::{
    ConnectorSpec, ENTITIES, EntitySpec, IdentifierSpec, OPERATIONS, Protocol,
};
use crate::credential::Credential;
use crate::protocol::tree::Tree;
use crate::record::{IdentifierKind, Trust};
use crate::schema::Catalog;
use crate::transport::settings::{PriceSettings, SourceSettings};

/// What all entities of a file give.
#[derive(Default)]
struct Gathered {
    maps: BTreeMap<Arc<str>, RecordMap>,
    operations: Vec<Operation>,
    foreign_links: Vec<(Arc<str>, Arc<str>, Arc<str>)>,
}

/// Compiles a file as written; nothing when an error was told.
pub(crate) fn compile(
    spec: &ConnectorSpec,
    text: &str,
    catalog: &Catalog,
    report: &mut Report<'_>,
) -> Option<Compiled> {
    check_source(report, spec, catalog);
    let url = report.at("url", |report| base(report, &spec.url));
    let tables = spec.tables.iter().map(|(name, rows)| {
        let rows = rows
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.0.clone()));
        (name.as_str().into(), Tree::Map(rows.collect()))
    });
    let language = Language::new(Limits::default(), tables.collect());
    let zone = report.at("zone", |report| zone(report, spec.zone.as_deref()));
    let surroundings = Surroundings {
        catalog,
        language: &language,
        zone: zone.as_deref(),
    };
    check_shared(report, &surroundings, spec);
    let source: Arc<str> = spec.source.as_str().into();
    let mut gathered = Gathered::default();
    report.at(ENTITIES, |report| {
        for (name, entity) in &spec.entities {
            report.at(name.as_str(), |report| {
                compile_entity(report, &surroundings, spec, (name, entity), &mut gathered);
            });
        }
    });
    if report.has_failed() {
        return None;
    }
    let settings = settings(spec, url?);
    Some(Compiled {
        name: spec.name.as_deref().unwrap_or(&spec.source).into(),
        vendor: spec.vendor.as_str().into(),
        category: spec.category.as_str().into(),
        protocol: spec.protocol,
        digest: digest(text, &settings.url, catalog),
        settings,
        operations: gathered.operations,
        email_trust: email_trust(spec),
        external_namespace: external_namespace(&gathered.maps),
        maps: gathered.maps,
        foreign_links: gathered.foreign_links,
        zone,
        source,
    })
}

fn settings(spec: &ConnectorSpec, url: Url) -> SourceSettings {
    let mut budget = spec.budget.clone();
    for (entity, spec) in &spec.entities {
        for (name, operation) in &spec.operations {
            let own = operation.budget.clone();
            budget.operations.insert(format!("{entity}.{name}"), own);
        }
    }
    SourceSettings {
        source: spec.source.as_str().into(),
        url,
        credential: spec.credential.clone(),
        budget,
        tls: spec.tls.clone(),
        price: spec.price.clone(),
        reread: None,
    }
}

/// The source whose ids this one's customers store.
fn external_namespace(maps: &BTreeMap<Arc<str>, RecordMap>) -> Option<Arc<str>> {
    let mut identifiers = maps.get("Customer")?.identifiers.iter();
    let one = identifiers.find(|one| one.kind == IdentifierKind::ExternalId)?;
    one.namespace.clone()
}

fn compile_entity(
    report: &mut Report<'_>,
    surroundings: &Surroundings<'_>,
    spec: &ConnectorSpec,
    named: (&str, &EntitySpec),
    gathered: &mut Gathered,
) {
    let (name, entity) = named;
    let catalog = surroundings.catalog;
    let Some(ty) = catalog.entity(name) else {
        let message = format!("The graph has no entity `{name}`.");
        let hint = did_you_mean(name, catalog.entities().map(|(def, _)| &*def.name));
        report.name_error("unknown-entity", message, hint);
        return;
    };
    let source: Arc<str> = spec.source.as_str().into();
    let compiled = surroundings.entity(report, &source, ty, entity);
    let Some((map, foreign)) = compiled else {
        return;
    };
    if entity.operations.is_empty() {
        let message = format!("`{name}` has no operation, so nothing of it is ever read.");
        let hint = "Write at least one of `get`, `list` and `by…`.".to_owned();
        report.name_error("missing-operation", message, Some(hint));
    }
    let inverses = inverses(catalog, ty.1, &entity.fields);
    let shared = Shared {
        protocol: spec.protocol,
        soap: spec.soap.as_ref(),
        headers: &spec.headers,
        errors: &spec.errors,
        cache: spec.cache,
    };
    let of = Of {
        object: ty.1,
        map: &map,
        inverses: &inverses,
    };
    report.at(OPERATIONS, |report| {
        for (name, operation) in &entity.operations {
            let compiled = report.at(name.as_str(), |report| {
                for problem in operation.budget.problems() {
                    let text = sentence(problem);
                    report.at("budget", |report| {
                        report.name_error("wrong-value", text, None)
                    });
                }
                surroundings.operation(report, &shared, &of, (name, operation))
            });
            gathered.operations.extend(compiled);
        }
    });
    let foreign = foreign.into_iter();
    gathered
        .foreign_links
        .extend(foreign.map(|(link, source)| (map.entity.clone(), link, source)));
    gathered.maps.insert(map.entity.clone(), map);
}

fn check_source(report: &mut Report<'_>, spec: &ConnectorSpec, catalog: &Catalog) {
    let key = &spec.source;
    let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_key {
        let message =
            "A source's key has lower-case letters, digits and hyphens, and starts with a letter.";
        report.at("source", |report| report.error("wrong-value", message));
    }
    let categories = catalog.enum_values("SourceCategory").unwrap_or_default();
    if !categories.iter().any(|known| *known.name == *spec.category) {
        let message = format!("`{}` is not a category of sources.", spec.category);
        let hint = did_you_mean(&spec.category, categories.iter().map(|known| &*known.name));
        report.at("category", |report| {
            report.error_with("unknown-enum-value", message, hint);
        });
    }
    for problem in spec.budget.problems() {
        let text = sentence(problem);
        report.at("budget", |report| {
            report.name_error("wrong-value", text, None)
        });
    }
    if let Some(problem) = spec.price.as_ref().and_then(PriceSettings::problem) {
        report.at("price", |report| {
            report.name_error("wrong-value", sentence(problem), None)
        });
    }
    check_credential(report, spec);
    if let Some(price) = &spec.price
        && iso_currency::Currency::from_code(&price.currency).is_none()
    {
        let message = "The currency of a price is an ISO 4217 code, such as `USD`.";
        report.at("price", |report| {
            report.at("currency", |report| report.error("wrong-value", message));
        });
    }
    if spec.entities.is_empty() {
        let message = "The file maps no entity, so the source supplies nothing.";
        let hint = "Write an entity of the graph, such as `Customer:`.".to_owned();
        report.at("source", |report| {
            report.name_error("missing-entity", message, Some(hint));
        });
    }
}

/// Checks that the credential can be used, and that the protocol can carry it.
fn check_credential(report: &mut Report<'_>, spec: &ConnectorSpec) {
    let credential = Credential::new(&spec.credential).map_err(|error| error.to_string());
    let is_soap = spec.protocol == Protocol::Soap;
    let problem = match credential {
        Ok(credential) if credential.needs_soap() && !is_soap => {
            Some("it goes into the SOAP header, and the protocol is not `soap`".to_owned())
        }
        Ok(_) => None,
        Err(problem) => Some(problem),
    };
    if let Some(problem) = problem {
        let text = sentence(&problem);
        report.at("credential", |report| {
            if !report.is_unset() {
                report.name_error("wrong-credential", text, None);
            }
        });
    }
}

/// Checks what all operations share, where it is written, so that each mistake is told once.
fn check_shared(report: &mut Report<'_>, surroundings: &Surroundings<'_>, spec: &ConnectorSpec) {
    let language = surroundings.language;
    let names = Names::shared();
    report.at("headers", |report| {
        for (name, text) in &spec.headers {
            report.at(name.as_str(), |report| {
                surroundings.header(report, name, text, &names);
            });
        }
    });
    report.at("errors", |report| {
        for (key, text) in [
            ("success", &spec.errors.success),
            ("code", &spec.errors.code),
            ("message", &spec.errors.message),
            ("field", &spec.errors.field),
            ("retry_after", &spec.errors.retry_after),
        ] {
            report.optional(key, text.as_ref(), language);
        }
    });
    match (&spec.soap, spec.protocol) {
        (Some(soap), Protocol::Soap) => report.at("soap", |report| {
            report.at("header", |report| {
                let used = RefCell::new(Vec::new());
                surroundings.xml(report, &soap.header, (&names, &used));
            });
        }),
        (None, Protocol::Soap) => report.at("protocol", |report| {
            let message = "`protocol: soap` needs the block `soap`.";
            let hint = "Write `soap: { version: \"1.1\", namespaces: { … } }`.".to_owned();
            report.error_with("missing-key", message, Some(hint));
        }),
        (Some(_), Protocol::Rest | Protocol::Graphql) => report.at("soap", |report| {
            let message = "The block `soap` is for `protocol: soap`.";
            report.name_error("wrong-protocol", message, None);
        }),
        (None, Protocol::Rest | Protocol::Graphql) => {}
    }
}

fn base(report: &mut Report<'_>, text: &str) -> Option<Url> {
    let parsed = Url::parse(text).ok();
    let Some(url) = parsed.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        let message = "`url` is an absolute http or https address.";
        let hint = "Write it with its scheme, as in `https://api.example.com`.".to_owned();
        report.error_with("wrong-url", message, Some(hint));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let message = "`url` can't hold a user name or password.";
        let hint = "Write them under `credential`.".to_owned();
        report.error_with("wrong-url", message, Some(hint));
        return None;
    }
    Some(url)
}

fn zone(report: &mut Report<'_>, name: Option<&str>) -> Option<Arc<str>> {
    let name = name?;
    if name.parse::<chrono_tz::Tz>().is_err() {
        let message = format!("`{name}` is not an IANA time zone.");
        let hint = did_you_mean(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        report.error_with("wrong-value", message, hint);
        return None;
    }
    Some(name.into())
}

fn email_trust(spec: &ConnectorSpec) -> Trust {
    let customer = spec.entities.get("Customer");
    match customer.and_then(|customer| customer.identifiers.email.as_ref()) {
        Some(IdentifierSpec::Long(long)) => long.trust.unwrap_or(Trust::SelfAsserted),
        Some(IdentifierSpec::Expression(_)) | None => Trust::SelfAsserted,
    }
}

/// Digest of the file, of where it reads from, and of the graph it is mapped to.
fn digest(text: &str, url: &Url, catalog: &Catalog) -> Arc<str> {
    let mut hash = Sha256::new();
    for part in [text, url.as_str(), &*catalog.digest] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize().get(..8).unwrap_or_default()).into()
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    format!(
        "{}{}.",
        first.unwrap_or_default(),
        chars.as_str().trim_end_matches('.')
    )
}
