//! What a source can do, compiled: everything that rendering a call and reading its reply needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use serde_json::Value as Json;

use crate::connector::language::body::ValueTemplate;
use crate::connector::language::expression::Expression;
use crate::connector::language::request::RequestTemplate;
use crate::connector::language::template::HeaderTemplate;
use crate::connector::language::xml::XmlTemplate;
use crate::connector::spec::ClassSpec;
use crate::protocol::soap::{SoapOptions, Version};

/// Something that a source can do for an entity.
#[derive(Debug)]
pub struct Operation {
    /// The entity.
    pub entity: Arc<str>,
    /// `get`, `list`, `byCustomer`, ….
    pub name: Arc<str>,
    /// How many keys one call takes; without it, one.
    pub batch_max: Option<usize>,
    /// How long an answer is fresh.
    pub fresh: Duration,
    /// How long after that it may still be served.
    pub stale: Duration,
    /// How long an empty answer is fresh.
    pub not_found: Duration,
    /// The filters that the source evaluates itself.
    pub filters: Vec<PushedFilter>,
    /// The orders that the source can answer in: a value of the entity's sort enum, and whether descending.
    pub sorts: Vec<(Arc<str>, bool)>,
    /// The order that the source answers in by itself.
    pub sorted: Option<(Arc<str>, bool)>,
    /// How many pages of a list are read for one question at most.
    pub pages_max: usize,
    pub(crate) plan: Plan,
}

impl Operation {
    /// Whether the source can evaluate this value of the filter; an enum value may have no counterpart there.
    pub fn can_push(&self, name: &str, value: &Json) -> bool {
        let Some(filter) = self
            .plan
            .filters
            .iter()
            .find(|filter| &*filter.name == name)
        else {
            return false;
        };
        let count = match (&filter.inverse, value) {
            (Some(inverse), _) => match inverse.raw_of(value) {
                Some(raw) => raw.len(),
                None => return false,
            },
            (None, Json::Null) => return false,
            (None, Json::Array(values)) => values.len(),
            (None, _) => 1,
        };
        !filter.single || count == 1
    }
}

impl Operation {
    /// Whether further pages are asked for by a count, so that what moves while a list is read moves its pages.
    pub fn pages_drift(&self) -> bool {
        let kind = self.plan.page.as_ref().map(|page| &page.kind);
        matches!(kind, Some(PageKind::Offset(_) | PageKind::Number(_)))
    }
}

/// A filter that the source evaluates itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedFilter {
    /// The filter's name in the graph.
    pub name: Arc<str>,
    /// Whether the gateway must apply it again, since the source only narrows the answer down.
    pub partial: bool,
}

/// How an operation runs.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `Entity.operation`, for metrics and messages.
    pub(crate) label: Arc<str>,
    pub(crate) call: CallPlan,
    pub(crate) headers: Vec<(HeaderName, HeaderTemplate)>,
    pub(crate) key: KeyPlan,
    pub(crate) by_position: bool,
    pub(crate) items: Option<Expression>,
    pub(crate) total: Option<Expression>,
    pub(crate) page: Option<PagePlan>,
    pub(crate) errors: ErrorPlan,
    pub(crate) not_found: Vec<u16>,
    pub(crate) safe: bool,
    /// The vendor's header that makes a call happen once.
    pub(crate) idempotency: Option<HeaderName>,
    pub(crate) partial: Option<PartialPlan>,
    pub(crate) filters: Vec<FilterPlan>,
    pub(crate) sorts: Vec<SortPlan>,
}

/// What is sent, by protocol.
#[derive(Debug)]
pub(crate) enum CallPlan {
    Rest {
        request: RequestTemplate,
        body: RestBody,
    },
    Soap(Box<SoapPlan>),
    Graphql {
        document: String,
        operation: Option<String>,
        variables: ValueTemplate,
    },
}

/// The body of a REST call.
#[derive(Debug)]
pub(crate) enum RestBody {
    Nothing,
    Json(ValueTemplate),
    Form(ValueTemplate),
}

/// A SOAP call.
#[derive(Debug)]
pub(crate) struct SoapPlan {
    pub(crate) version: Version,
    pub(crate) action: String,
    pub(crate) header: XmlTemplate,
    pub(crate) body: XmlTemplate,
    pub(crate) options: SoapOptions,
}

/// How records find back to the keys that were asked for.
#[derive(Debug)]
pub(crate) enum KeyPlan {
    /// By their own id.
    Id,
    /// By a link.
    Link(Arc<str>),
    /// By one of their e-mail addresses, compared in one form.
    Email,
    /// By an id that another source issued.
    ExternalId(Arc<str>),
    /// By an expression.
    Expression(Expression),
    /// Not at all: what a search finds belongs to the text that was asked for.
    Asked,
}

/// How further pages are read.
#[derive(Debug)]
pub(crate) struct PagePlan {
    pub(crate) size: usize,
    pub(crate) pages_max: usize,
    pub(crate) items_max: usize,
    pub(crate) kind: PageKind,
    pub(crate) more: Option<Expression>,
    pub(crate) total: Option<Expression>,
    pub(crate) first: u64,
}

/// The kinds of paging.
#[derive(Debug)]
pub(crate) enum PageKind {
    Cursor {
        from: Expression,
        parameter: Option<String>,
    },
    Link(Expression),
    LinkHeader,
    Offset(Option<String>),
    Number(Option<String>),
}

/// How failures read.
#[derive(Debug, Default)]
pub(crate) struct ErrorPlan {
    pub(crate) success: Option<Expression>,
    pub(crate) code: Option<Expression>,
    pub(crate) message: Option<Expression>,
    pub(crate) field: Option<Expression>,
    pub(crate) retry_after: Option<Expression>,
    /// The media type that the vendor says wrongly, and that is none.
    pub(crate) content_type: Option<String>,
    pub(crate) classes: BTreeMap<String, ClassSpec>,
}

/// How a reply tells that some of its records failed.
#[derive(Debug)]
pub(crate) struct PartialPlan {
    pub(crate) success: Option<Expression>,
    pub(crate) record: Option<Expression>,
    pub(crate) errors: Option<Expression>,
    pub(crate) key: Option<Expression>,
    pub(crate) code: Option<Expression>,
    pub(crate) message: Option<Expression>,
}

/// How a filter or order is handed over.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    pub(crate) query: Option<ValueTemplate>,
    pub(crate) body: Option<ValueTemplate>,
    pub(crate) variables: Option<ValueTemplate>,
    pub(crate) value: Option<ValueTemplate>,
}

/// A filter that the source evaluates itself.
#[derive(Debug)]
pub(crate) struct FilterPlan {
    pub(crate) name: Arc<str>,
    pub(crate) placement: Placement,
    pub(crate) single: bool,
    /// The vendor's words for the values, when the templates read `raw`.
    pub(crate) inverse: Option<Inverse>,
}

/// An order that the source can answer in.
#[derive(Debug)]
pub(crate) struct SortPlan {
    pub(crate) name: Arc<str>,
    pub(crate) descending: bool,
    pub(crate) placement: Placement,
}

/// The `as` table of a field, the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inverse(pub(crate) Vec<(Arc<str>, Box<str>)>);

impl Inverse {
    /// The vendor's words for a value or a list of values; `None` when one of them has no word.
    pub(crate) fn raw_of(&self, value: &Json) -> Option<Vec<&str>> {
        let mut raw = Vec::new();
        let values = match value {
            Json::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let name = value.as_str()?;
            let before = raw.len();
            let words = self.0.iter().filter(|(known, _)| &**known == name);
            raw.extend(words.map(|(_, word)| &**word));
            if raw.len() == before {
                return None;
            }
        }
        Some(raw)
    }
}
