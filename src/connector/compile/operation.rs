//! Compiles an operation: its call by protocol, how its records are found, and what it pushes down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use crate::config::span::Span;
use crate::connector::compile::call::Names;
use crate::connector::compile::graph;
use crate::connector::compile::mapping::Surroundings;
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::language::expression::Expression;
use crate::connector::language::template::HeaderTemplate;
use crate::connector::map::RecordMap;
use crate::connector::operation::{
    CallPlan, ErrorPlan, FilterPlan, Inverse, KeyPlan, Operation, PageKind, PagePlan, Plan,
    PushedFilter, SortPlan,
};
use crate::connector::spec::{
    AlignSpec, CacheSpec, DirectionSpec, ErrorsSpec, FilterSpec, OperationSpec, PageSpec,
    PlaceSpec, PlacementSpec, Protocol, SoapSpec, SortedSpec, Texts,
};
use crate::record::IdentifierKind;
use crate::schema::{Matches, ObjectDef};

/// For each mapped enum field, the graph's values with the vendor's words for them.
pub(crate) type Inverses = BTreeMap<String, Vec<(Arc<str>, Box<str>)>>;

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
    pub(crate) inverses: &'a Inverses,
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
        let entity = &of.map.entity;
        let key = self.key(report, of, name, spec)?;
        let names = Names::of(name, spec);
        let headers = self.headers(report, shared, spec, &names);
        let used = std::cell::RefCell::new(Vec::new());
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
        let items = self.path(report, "items", spec.items.as_ref());
        let total = self.path(report, "total", spec.total.as_ref());
        let lifetime = |choose: fn(&CacheSpec) -> Option<Span>, default: u64| {
            let span = choose(&spec.cache).or_else(|| choose(&shared.cache));
            span.map_or(Duration::from_secs(default), |span| span.0)
        };
        Some(Operation {
            entity: entity.clone(),
            name: name.into(),
            batch_max: spec.batch.as_ref().map(|batch| batch.max.max(1)),
            fresh: lifetime(|cache| cache.fresh, 60),
            stale: lifetime(|cache| cache.stale, 600),
            not_found: lifetime(|cache| cache.not_found, 10),
            filters: filters
                .iter()
                .map(|filter| PushedFilter {
                    name: filter.name.clone(),
                    partial: spec
                        .filters
                        .get(&*filter.name)
                        .is_some_and(|spec| spec.partial),
                })
                .collect(),
            sorts: sorts
                .iter()
                .map(|sort| (sort.name.clone(), sort.descending))
                .collect(),
            sorted: spec
                .sorted
                .as_ref()
                .and_then(|sorted| report.at("sorted", |report| self.sorted(report, of, sorted))),
            pages_max: spec.page.as_ref().map_or(1, |page| page.max_pages.max(1)),
            plan: Plan {
                label: format!("{entity}.{name}").into(),
                headers,
                key,
                by_position: spec
                    .batch
                    .as_ref()
                    .is_some_and(|batch| batch.align == AlignSpec::Position),
                items,
                total,
                page,
                errors: self.errors(report, shared, spec),
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
            "byEmail" if &**entity == "Customer" => KeyPlan::Email,
            "byExternalId" if &**entity == "Customer" => {
                let mut spaces = of.map.identifiers.iter();
                let space = spaces.find(|one| one.kind == IdentifierKind::ExternalId);
                KeyPlan::ExternalId(space?.namespace.clone()?)
            }
            _ => match link {
                Some(link) => KeyPlan::Link(link.clone()),
                None => {
                    let mut known = vec!["get".to_owned(), "list".to_owned()];
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
        let batch = spec.batch.as_ref();
        if let Some(key) = batch.and_then(|batch| batch.key.as_ref()) {
            return report.at("batch", |report| {
                report.at("key", |report| {
                    report
                        .expression(key, self.language)
                        .map(KeyPlan::Expression)
                })
            });
        }
        let by_key = batch.is_some_and(|batch| batch.align == AlignSpec::ByKey);
        let missing = match &own {
            KeyPlan::Link(link) => {
                let is_mapped = of.map.links.iter().any(|known| known.name == *link);
                (by_key && !is_mapped).then(|| format!("links: {{ {link}: path }}"))
            }
            KeyPlan::Email => {
                let mut all = of.map.identifiers.iter();
                let has = all.any(|one| one.kind == IdentifierKind::Email);
                (!has).then(|| "identifiers: { email: path }".to_owned())
            }
            KeyPlan::Id | KeyPlan::ExternalId(_) | KeyPlan::Expression(_) => None,
        };
        if let Some(missing) = missing {
            let message =
                format!("`{name}` hands records back by a key that `{entity}` does not map.");
            let hint = format!("Write `{missing}` for the entity, or `key` under `batch`.");
            report.name_error("missing-link", message, Some(hint));
            return None;
        }
        Some(own)
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
            classes.insert(code.clone(), (*class).into());
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
            retry_after: self
                .path(report, "retry_after", own.retry_after.as_ref())
                .or_else(|| quiet(&file.retry_after)),
            classes,
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

    fn page(
        &self,
        report: &mut Report<'_>,
        protocol: Protocol,
        page: &PageSpec,
        of: (&OperationSpec, &[String]),
    ) -> Option<PagePlan> {
        let (spec, used) = of;
        let uses_page = used.iter().any(|name| name == "page");
        let is_rest = protocol == Protocol::Rest;
        let kinds = [
            page.cursor.is_some(),
            page.next.is_some(),
            page.link_header,
            page.offset.is_some(),
            page.number.is_some(),
        ];
        let count = kinds.iter().filter(|is_there| **is_there).count();
        if count != 1 {
            let message = match count {
                0 => "`page` does not say how the next page is found.",
                _ => "`page` says in several ways how the next page is found.",
            };
            let hint = "Write one of `cursor`, `next`, `link_header`, `offset` and `number`.";
            report.name_error("wrong-page", message, Some(hint.to_owned()));
            return None;
        }
        for (key, value) in [
            ("size", page.size),
            ("max_pages", page.max_pages),
            ("max_items", page.max_items),
        ] {
            if value == 0 || value > 100_000 {
                let message = format!("`{key}` is from 1 to 100000.");
                report.at(key, |report| report.error("wrong-value", message));
            }
        }
        let needs_template = match (&page.cursor, &page.offset, &page.number) {
            (Some(_), _, _) => page.parameter.is_none(),
            (_, Some(place), _) | (_, _, Some(place)) => *place == PlaceSpec::Template(true),
            _ => false,
        };
        if needs_template && !uses_page {
            let message =
                "The call does not say which page it wants, so every page would be the first.";
            let hint = match is_rest {
                true => {
                    "Name the query parameter, for example with `as`, or use `page.cursor`, `page.offset` or `page.number` in the request."
                }
                false => {
                    "Use `page.cursor`, `page.offset` or `page.number` in the body or the variables."
                }
            };
            report.name_error("wrong-page", message, Some(hint.to_owned()));
        }
        let names_parameter = page.parameter.is_some()
            || matches!(page.offset, Some(PlaceSpec::Query(_)))
            || matches!(page.number, Some(PlaceSpec::Query(_)));
        if !is_rest && (names_parameter || page.next.is_some() || page.link_header) {
            let message = "Query parameters and next-links are for `protocol: rest`.";
            report.name_error("wrong-page", message, None);
        }
        if page.next.is_some() || page.link_header {
            self.check_followed(report, spec);
        }
        let parameter = |place: &PlaceSpec| match place {
            PlaceSpec::Query(name) => Some(name.clone()),
            PlaceSpec::Template(_) => None,
        };
        let kind = match (&page.cursor, &page.next, &page.offset, &page.number) {
            (Some(from), ..) => PageKind::Cursor {
                from: report.at("cursor", |report| report.expression(from, self.language))?,
                parameter: page.parameter.clone(),
            },
            (_, Some(from), ..) => {
                PageKind::Link(report.at("next", |report| report.expression(from, self.language))?)
            }
            (_, _, Some(place), _) => PageKind::Offset(parameter(place)),
            (_, _, _, Some(place)) => PageKind::Number(parameter(place)),
            _ => PageKind::LinkHeader,
        };
        Some(PagePlan {
            size: page.size.max(1),
            pages_max: page.max_pages.max(1),
            items_max: page.max_items.max(1),
            kind,
            more: self.path(report, "more", page.more.as_ref()),
            total: self.path(report, "total", page.total.as_ref()),
            first: page.first,
        })
    }

    /// A next-link is a whole address, so that the call it replaces can have no body.
    fn check_followed(&self, report: &mut Report<'_>, spec: &OperationSpec) {
        let is_get = spec
            .request
            .as_ref()
            .is_some_and(|request| request.starts_with(Method::GET.as_str()));
        if !is_get || spec.body.is_some() || spec.form.is_some() {
            let message = "A next-link can only be followed with GET and without a body.";
            report.name_error("wrong-page", message, None);
        }
    }

    fn filters(
        &self,
        report: &mut Report<'_>,
        of: &Of<'_>,
        spec: &OperationSpec,
        protocol: Protocol,
    ) -> Vec<FilterPlan> {
        let entity = &of.map.entity;
        let known = graph::filters(self.catalog, entity);
        let mut plans = Vec::new();
        report.at("filters", |report| {
            for (name, filter) in &spec.filters {
                report.at(name.as_str(), |report| {
                    let Some(input) = known.iter().find(|input| *input.name == **name) else {
                        let message = format!("`{entity}` has no filter `{name}`.");
                        let hint = did_you_mean(name, known.iter().map(|input| &*input.name));
                        report.name_error("unknown-filter", message, hint);
                        return;
                    };
                    if input.matches == Some(Matches::Source) {
                        let message = "The gateway itself chooses the sources.";
                        report.name_error("unknown-filter", message, None);
                        return;
                    }
                    let FilterSpec {
                        query,
                        body,
                        variables,
                        value,
                        partial: _,
                        single,
                    } = filter.clone();
                    let placement = PlacementSpec {
                        query,
                        body,
                        variables,
                        value,
                    };
                    let allowed = ["value", "raw", "source"];
                    let used = std::cell::RefCell::new(Vec::new());
                    let placement =
                        self.placement(report, protocol, &placement, (&allowed, &used));
                    let reads_raw = used.borrow().iter().any(|name| name == "raw");
                    let inverse = match (&input.matches, reads_raw) {
                        (Some(Matches::Field(field)), true) => of.inverses.get(field),
                        _ => None,
                    };
                    if reads_raw && inverse.is_none() {
                        let message = format!(
                            "`raw` needs a table `as` of the field that `{name}` compares, and there is none."
                        );
                        let hint = "Map that field with `{ from: …, as: { … } }`, or use `value`.";
                        report.name_error("missing-table", message, Some(hint.to_owned()));
                    }
                    plans.push(FilterPlan {
                        name: input.name.clone(),
                        placement,
                        single,
                        inverse: inverse.cloned().map(Inverse),
                    });
                });
            }
        });
        plans
    }

    fn sorts(
        &self,
        report: &mut Report<'_>,
        entity: &str,
        spec: &OperationSpec,
        protocol: Protocol,
    ) -> Vec<SortPlan> {
        let known = graph::sorts(self.catalog, entity);
        let mut plans = Vec::new();
        report.at("sort", |report| {
            for (name, directions) in &spec.sort {
                report.at(name.as_str(), |report| {
                    let Some(order) = known.iter().find(|order| *order.name == **name) else {
                        let message = format!("`{entity}` can't be sorted by `{name}`.");
                        let hint = did_you_mean(name, known.iter().map(|order| &*order.name));
                        report.name_error("unknown-sort", message, hint);
                        return;
                    };
                    let both = [
                        ("asc", false, &directions.asc),
                        ("desc", true, &directions.desc),
                    ];
                    for (key, descending, placement) in both {
                        let Some(placement) = placement else {
                            continue;
                        };
                        let allowed = ["field", "direction", "source"];
                        let used = std::cell::RefCell::new(Vec::new());
                        let placement = report.at(key, |report| {
                            self.placement(report, protocol, placement, (&allowed, &used))
                        });
                        plans.push(SortPlan {
                            name: order.name.clone(),
                            descending,
                            placement,
                        });
                    }
                });
            }
        });
        plans
    }

    /// The order that the source answers in by itself, by its name in the graph.
    fn sorted(
        &self,
        report: &mut Report<'_>,
        of: &Of<'_>,
        sorted: &SortedSpec,
    ) -> Option<(Arc<str>, bool)> {
        let entity = &of.map.entity;
        let known = graph::sorts(self.catalog, entity);
        let by = |order: &&crate::schema::EnumValue| {
            order.sorts_by.as_deref() == Some(sorted.field.as_str())
        };
        match known.iter().find(by) {
            Some(order) => Some((order.name.clone(), sorted.direction == DirectionSpec::Desc)),
            None => {
                let message = format!(
                    "`{entity}` can't be sorted by the field `{}`.",
                    sorted.field
                );
                let fields = known.iter().filter_map(|order| order.sorts_by.as_deref());
                let hint = did_you_mean(&sorted.field, fields).or_else(|| {
                    let has = of.object.field(&sorted.field).is_some();
                    has.then(|| "No order of the graph compares this field.".to_owned())
                });
                report.at("field", |report| {
                    report.error_with("unknown-sort", message, hint)
                });
                None
            }
        }
    }
}
