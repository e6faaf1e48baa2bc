//! Compiles an operation: its call by protocol, how its records are found, and what it pushes down.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::config::span::Span;
use crate::connector::compile::call::Names;
use crate::connector::compile::graph;
use crate::connector::compile::mapping::Surroundings;
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::language::expression::Expression;
use crate::connector::language::template::HeaderTemplate;
use crate::connector::map::RecordMap;
use crate::connector::operation::{
    CallPlan, ErrorPlan, FilterPlan, Inverse, KeyPlan, Operation, PartialPlan, Plan, PushedFilter,
    SortPlan,
};
use crate::connector::spec::{
    AlignSpec, CacheSpec, ErrorsSpec, OperationSpec, Protocol, SoapSpec, Texts,
};
use crate::record::IdentifierKind;
use crate::schema::ObjectDef;

/// What a file says for all its operations.
pub(crate) struct Shared<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) soap: Option<&'a SoapSpec>,
    pub(crate) headers: &'a Texts,
    pub(crate) errors: &'a ErrorsSpec,
    pub(crate) cache: CacheSpec,
}

/// The entity that an operation is of.
pub(crate) struct Of<'a> {
    pub(crate) object: &'a ObjectDef,
    pub(crate) map: &'a RecordMap,
    pub(crate) inverses: &'a BTreeMap<String, Inverse>,
}

impl Surroundings<'_> {
    /// Compiles an operation; `report` looks at it.
    pub(crate) fn operation(
        &self,
        report: &mut Report<'_>,
        shared: &Shared<'_>,
        of: &Of<'_>,
        named: (&str, &OperationSpec),
    ) -> Option<Operation> {
        let (name, spec) = named;
        let (entity, batch) = (&of.map.entity, spec.batch.as_ref());
        let key = self.key(report, of, name, spec)?;
        let names = Names::of(name, spec);
        let headers = self.headers(report, shared, spec, &names);
        let used = RefCell::new(Vec::new());
        let call = self.call(report, shared, spec, (&names, &used));
        let filters = self.filters(report, of, spec, shared.protocol);
        let sorts = self.sorts(report, entity, spec, shared.protocol);
        if let CallPlan::Graphql { document, .. } = call.as_ref()? {
            self.variables(report, document, spec);
        }
        self.check_batch(report, name, spec, &used.borrow());
        let page = spec.page.as_ref().and_then(|page| {
            report.at("page", |report| {
                self.page(report, shared.protocol, page, (spec, &used.borrow()))
            })
        });
        let (fresh, stale, not_found) = lifetimes(spec, shared);
        Some(Operation {
            entity: entity.clone(),
            name: name.into(),
            batch_max: batch.map(|batch| batch.max.max(1)),
            fresh,
            stale,
            not_found,
            filters: pushed(&filters, spec),
            sorts: offered(&sorts),
            sorted: spec
                .sorted
                .as_ref()
                .and_then(|sorted| report.at("sorted", |report| self.sorted(report, of, sorted))),
            pages_max: spec.page.as_ref().map_or(1, |page| page.max_pages.max(1)),
            plan: Plan {
                label: format!("{entity}.{name}").into(),
                headers,
                key,
                by_position: batch.is_some_and(|batch| batch.align == AlignSpec::Position),
                items: self.path(report, "items", spec.items.as_ref()),
                total: self.path(report, "total", spec.total.as_ref()),
                page,
                errors: self.errors(report, shared, spec),
                partial: report.at("partial", |report| self.partial(report, spec)),
                idempotency: idempotency(report, spec),
                not_found: spec.not_found.clone().unwrap_or_else(|| vec![404, 410]),
                safe: spec.safe.unwrap_or(true),
                filters,
                sorts,
                call: call?,
            },
        })
    }

    /// How records find back to their keys; refuses operations that the entity does not have.
    fn key(
        &self,
        report: &mut Report<'_>,
        of: &Of<'_>,
        name: &str,
        spec: &OperationSpec,
    ) -> Option<KeyPlan> {
        let entity = &of.map.entity;
        let links = graph::links(self.catalog, entity);
        let link = links.iter().find(|link| graph::by(link) == name);
        let own = match name {
            "get" | "list" => KeyPlan::Id,
            "search" => KeyPlan::Asked,
            "byEmail" if &**entity == "Customer" => KeyPlan::Email,
            "byExternalId" if &**entity == "Customer" => {
                let mut spaces = of.map.identifiers.iter();
                let space = spaces.find(|one| one.kind == IdentifierKind::ExternalId);
                KeyPlan::ExternalId(space?.namespace.clone()?)
            }
            _ => match link {
                Some(link) => KeyPlan::Link(link.clone()),
                None => {
                    let mut known = vec!["get".to_owned(), "list".to_owned(), "search".to_owned()];
                    known.extend(links.iter().map(|link| graph::by(link)));
                    if &**entity == "Customer" {
                        known.extend(["byEmail".to_owned(), "byExternalId".to_owned()]);
                    }
                    let message = format!("`{entity}` has no operation `{name}`.");
                    let hint = did_you_mean(name, known.iter().map(String::as_str));
                    report.name_error("unknown-operation", message, hint);
                    return None;
                }
            },
        };
        if let Some(key) = spec.batch.as_ref().and_then(|batch| batch.key.as_ref()) {
            return report.at("batch", |report| {
                report.at("key", |report| {
                    report
                        .expression(key, self.language)
                        .map(KeyPlan::Expression)
                })
            });
        }
        check_is_mapped(report, of, &own, (name, spec)).then_some(own)
    }

    fn headers(
        &self,
        report: &mut Report<'_>,
        shared: &Shared<'_>,
        spec: &OperationSpec,
        names: &Names,
    ) -> Vec<(HeaderName, HeaderTemplate)> {
        let mut headers: Vec<(HeaderName, HeaderTemplate)> = Vec::new();
        report.at("headers", |report| {
            for (name, text) in &spec.headers {
                let compiled = report.at(name.as_str(), |report| {
                    self.header(report, name, text, names)
                });
                headers.extend(compiled);
            }
        });
        for (name, text) in shared.headers {
            // Those of the file were checked with it, so that a mistake is told once.
            let name = HeaderName::from_bytes(name.as_bytes());
            let template = HeaderTemplate::compile(text, self.language);
            if let (Ok(name), Ok(template)) = (name, template)
                && !headers.iter().any(|(known, _)| *known == name)
            {
                headers.push((name, template));
            }
        }
        headers
    }

    /// Compiles one header.
    pub(crate) fn header(
        &self,
        report: &mut Report<'_>,
        name: &str,
        text: &str,
        names: &Names,
    ) -> Option<(HeaderName, HeaderTemplate)> {
        let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
            report.name_error("wrong-value", "This is not the name of a header.", None);
            return None;
        };
        match HeaderTemplate::compile(text, self.language) {
            Ok(template) => {
                names.check(report, template.names());
                Some((known, template))
            }
            Err(error) => {
                report.language("template", error);
                None
            }
        }
    }

    fn path(
        &self,
        report: &mut Report<'_>,
        key: &str,
        text: Option<&String>,
    ) -> Option<Expression> {
        report.optional(key, text, self.language)
    }

    /// The failures of an operation: its own words, else those of the file.
    fn errors(
        &self,
        report: &mut Report<'_>,
        shared: &Shared<'_>,
        spec: &OperationSpec,
    ) -> ErrorPlan {
        let file = shared.errors;
        let own = &spec.error;
        let success = self.path(report, "success", spec.success.as_ref());
        // The file's own expressions were checked with it.
        let quiet = |text: &Option<String>| Expression::compile(text.as_ref()?, self.language).ok();
        let mut classes: BTreeMap<String, _> = BTreeMap::new();
        for (code, class) in file.classes.iter().chain(&own.classes) {
            classes.insert(code.clone(), *class);
        }
        report.at("error", |report| ErrorPlan {
            success: success
                .or_else(|| self.path(report, "success", own.success.as_ref()))
                .or_else(|| quiet(&file.success)),
            code: self
                .path(report, "code", own.code.as_ref())
                .or_else(|| quiet(&file.code)),
            message: self
                .path(report, "message", own.message.as_ref())
                .or_else(|| quiet(&file.message)),
            field: self
                .path(report, "field", own.field.as_ref())
                .or_else(|| quiet(&file.field)),
            retry_after: self
                .path(report, "retry_after", own.retry_after.as_ref())
                .or_else(|| quiet(&file.retry_after)),
            content_type: spec.content_type.clone(),
            classes,
        })
    }

    /// How a reply tells of failures of single records; `report` looks at it.
    fn partial(&self, report: &mut Report<'_>, spec: &OperationSpec) -> Option<PartialPlan> {
        let (batch, spec) = (spec.batch.as_ref(), spec.partial.as_ref()?);
        if spec.success.is_none() && spec.errors.is_none() && spec.record.is_none() {
            let message = "`partial` does not say how a failed record is known.";
            let hint = "Write `success`, or `errors`, the path of failures beside the records.";
            report.name_error("wrong-partial", message, Some(hint.to_owned()));
            return None;
        }
        let by_position = batch.is_some_and(|batch| batch.align == AlignSpec::Position);
        if by_position && spec.key.is_some() && spec.errors.is_none() {
            let message = "Records that go by their place need no `key`.";
            report.at("key", |report| {
                report.name_error("wrong-partial", message, None)
            });
        }
        Some(PartialPlan {
            success: self.path(report, "success", spec.success.as_ref()),
            record: self.path(report, "record", spec.record.as_ref()),
            errors: self.path(report, "errors", spec.errors.as_ref()),
            key: self.path(report, "key", spec.key.as_ref()),
            code: self.path(report, "code", spec.code.as_ref()),
            message: self.path(report, "message", spec.message.as_ref()),
        })
    }

    fn check_batch(
        &self,
        report: &mut Report<'_>,
        name: &str,
        spec: &OperationSpec,
        used: &[String],
    ) {
        let uses = |name: &str| used.iter().any(|used| used == name);
        let Some(batch) = &spec.batch else {
            if name != "list" && !uses("key") && !uses("keys") {
                let message = format!("`{name}` asks for a key, and its call does not use it.");
                let hint = "Write `{{ key }}` where the key goes.".to_owned();
                report.name_error("unused-key", message, Some(hint));
            }
            return;
        };
        report.at("batch", |report| {
            if name == "list" {
                report.name_error(
                    "wrong-batch",
                    "`list` has no keys, so it has no `batch`.",
                    None,
                );
                return;
            }
            if name == "search" {
                let message = "`search` is asked for one text, so it has no `batch`.";
                report.name_error("wrong-batch", message, None);
                return;
            }
            if !uses("keys") {
                let message = "The call does not use `keys`, so a batch would ask for nothing.";
                let hint = "Write `{{ keys | join(',') }}` where the keys go.".to_owned();
                report.name_error("wrong-batch", message, Some(hint));
            }
            if batch.max == 0 || batch.max > 1000 {
                report.at("max", |report| {
                    report.error("wrong-value", "`max` is from 1 to 1000.");
                });
            }
            if batch.align == AlignSpec::Position && spec.page.is_some() {
                let message = "Records that go by place can't come in pages.";
                report.at("align", |report| report.error("wrong-batch", message));
            }
            if batch.align == AlignSpec::Position && batch.key.is_some() {
                let message = "`key` is for `align: by_key`; here records go by their place.";
                report.at("key", |report| {
                    report.name_error("wrong-batch", message, None)
                });
            }
        });
    }
}

/// The header that makes a call happen once.
fn idempotency(report: &mut Report<'_>, spec: &OperationSpec) -> Option<HeaderName> {
    let name = spec.idempotency.as_ref()?;
    report.at("idempotency", |report| {
        if spec.safe != Some(false) {
            let message = "A call that may be repeated anyway needs no key of its own.";
            let hint = "Write `safe: false` beside it, or leave it out.".to_owned();
            report.name_error("wrong-value", message, Some(hint));
        }
        let header = HeaderName::from_bytes(name.as_bytes()).ok();
        if header.is_none() {
            report.error("wrong-value", "This is not the name of a header.");
        }
        header
    })
}

/// How long answers are fresh, stale and remembered as empty: by the operation, else by the file, else by default.
fn lifetimes(spec: &OperationSpec, shared: &Shared<'_>) -> (Duration, Duration, Duration) {
    let lifetime = |choose: fn(&CacheSpec) -> Option<Span>, default: u64| {
        let span = choose(&spec.cache).or_else(|| choose(&shared.cache));
        span.map_or(Duration::from_secs(default), |span| span.0)
    };
    (
        lifetime(|cache| cache.fresh, 60),
        lifetime(|cache| cache.stale, 600),
        lifetime(|cache| cache.not_found, 10),
    )
}

fn pushed(filters: &[FilterPlan], spec: &OperationSpec) -> Vec<PushedFilter> {
    let written = |filter: &FilterPlan| spec.filters.get(&*filter.name);
    filters
        .iter()
        .map(|filter| PushedFilter {
            name: filter.name.clone(),
            partial: written(filter).is_some_and(|spec| spec.partial),
        })
        .collect()
}

fn offered(sorts: &[SortPlan]) -> Vec<(Arc<str>, bool)> {
    let orders = sorts.iter();
    orders
        .map(|sort| (sort.name.clone(), sort.descending))
        .collect()
}

/// Whether the entity maps the key that records are handed back by.
fn check_is_mapped(
    report: &mut Report<'_>,
    of: &Of<'_>,
    own: &KeyPlan,
    named: (&str, &OperationSpec),
) -> bool {
    let (name, spec) = named;
    let by_key = spec
        .batch
        .as_ref()
        .is_some_and(|batch| batch.align == AlignSpec::ByKey);
    let missing = match own {
        KeyPlan::Link(link) => {
            let is_mapped = of.map.links.iter().any(|known| known.name == *link);
            (by_key && !is_mapped).then(|| format!("links: {{ {link}: path }}"))
        }
        KeyPlan::Email => {
            let mut all = of.map.identifiers.iter();
            let has = all.any(|one| one.kind == IdentifierKind::Email);
            (!has).then(|| "identifiers: { email: path }".to_owned())
        }
        KeyPlan::Id | KeyPlan::ExternalId(_) | KeyPlan::Expression(_) | KeyPlan::Asked => None,
    };
    let Some(missing) = missing else {
        return true;
    };
    let entity = &of.map.entity;
    let message = format!("`{name}` hands records back by a key that `{entity}` does not map.");
    let hint = format!("Write `{missing}` for the entity, or `key` under `batch`.");
    report.name_error("missing-link", message, Some(hint));
    false
}
