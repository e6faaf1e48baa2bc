//! Compiles how further pages are read.

use http::Method;

use crate::connector::compile::mapping::Surroundings;
use crate::connector::compile::report::Report;
use crate::connector::operation::{PageKind, PagePlan};
use crate::connector::spec::{OperationSpec, PageSpec, PlaceSpec, Protocol};

impl Surroundings<'_> {
    /// Compiles the paging of an operation; `report` looks at it.
    pub(crate) fn page(
        &self,
        report: &mut Report<'_>,
        protocol: Protocol,
        page: &PageSpec,
        of: (&OperationSpec, &[String]),
    ) -> Option<PagePlan> {
        let (spec, used) = of;
        check_kinds(report, page)?;
        check_sizes(report, page);
        check_effect(report, protocol, page, used);
        let names_parameter = page.parameter.is_some()
            || matches!(page.offset, Some(PlaceSpec::Query(_)))
            || matches!(page.number, Some(PlaceSpec::Query(_)));
        let follows = page.next.is_some() || page.link_header;
        if protocol != Protocol::Rest && (names_parameter || follows) {
            let message = "Query parameters and next-links are for `protocol: rest`.";
            report.name_error("wrong-page", message, None);
        }
        if follows {
            check_followed(report, spec);
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
            more: report.optional("more", page.more.as_ref(), self.language),
            total: report.optional("total", page.total.as_ref(), self.language),
            first: page.first,
        })
    }
}

/// Exactly one key says how the next page is found.
fn check_kinds(report: &mut Report<'_>, page: &PageSpec) -> Option<()> {
    let kinds = [
        page.cursor.is_some(),
        page.next.is_some(),
        page.link_header,
        page.offset.is_some(),
        page.number.is_some(),
    ];
    let message = match kinds.iter().filter(|is_there| **is_there).count() {
        1 => return Some(()),
        0 => "`page` does not say how the next page is found.",
        _ => "`page` says in several ways how the next page is found.",
    };
    let hint = "Write one of `cursor`, `next`, `link_header`, `offset` and `number`.";
    report.name_error("wrong-page", message, Some(hint.to_owned()));
    None
}

fn check_sizes(report: &mut Report<'_>, page: &PageSpec) {
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
}

/// The page must reach the vendor, by a parameter or by a template.
fn check_effect(report: &mut Report<'_>, protocol: Protocol, page: &PageSpec, used: &[String]) {
    let needs_template = match (&page.cursor, &page.offset, &page.number) {
        (Some(_), _, _) => page.parameter.is_none(),
        (_, Some(place), _) | (_, _, Some(place)) => *place == PlaceSpec::Template(true),
        _ => false,
    };
    if needs_template && !used.iter().any(|name| name == "page") {
        let message =
            "The call does not say which page it wants, so every page would be the first.";
        let hint = match protocol {
            Protocol::Rest => {
                "Name the query parameter, for example with `as`, or use `page.cursor`, `page.offset` or `page.number` in the request."
            }
            Protocol::Soap | Protocol::Graphql => {
                "Use `page.cursor`, `page.offset` or `page.number` in the body or the variables."
            }
        };
        report.name_error("wrong-page", message, Some(hint.to_owned()));
    }
}

/// A next-link is a whole address, so that the call it replaces can have no body.
fn check_followed(report: &mut Report<'_>, spec: &OperationSpec) {
    let is_get = spec
        .request
        .as_ref()
        .is_some_and(|request| request.starts_with(Method::GET.as_str()));
    if !is_get || spec.body.is_some() || spec.form.is_some() {
        let message = "A next-link can only be followed with GET and without a body.";
        report.name_error("wrong-page", message, None);
    }
}
