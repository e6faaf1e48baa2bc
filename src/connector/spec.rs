//! A connector file as it is written; the doc comments here are its manual and go into its JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::span::Span;
use crate::connector::written::Written;
use crate::credential::CredentialSettings;
use crate::record::Trust;
use crate::transport::settings::{
    BudgetSettings, OperationBudgetSettings, PriceSettings, TlsSettings,
};

/// The key under which the reader gathers the entities of a file, whose own names are free.
pub const ENTITIES: &str = "<Entity>";
/// The key under which the reader gathers the operations of an entity.
pub const OPERATIONS: &str = "<operation>";

/// Texts by name, in alphabetical order.
pub type Texts = BTreeMap<String, String>;

/// One source: which vendor it is, how it is called, and where each entity of the graph comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorSpec {
    /// The key of the source in the graph, in lower case, such as `crm-emea`; it is part of every id, so it must not change.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub source: String,
    /// The name for people; the key when absent.
    pub name: Option<String>,
    /// The vendor's product, such as `zendesk`.
    pub vendor: String,
    /// What kind of system it is: a `SourceCategory` of the graph.
    pub category: String,
    /// What the vendor speaks.
    pub protocol: Protocol,
    /// The base address; requests are written relative to it, and no call goes to another origin.
    pub url: String,
    /// How the gateway proves itself to the vendor.
    #[serde(default)]
    pub credential: CredentialSettings,
    /// Headers of every call, as text templates.
    #[serde(default)]
    pub headers: Texts,
    /// What may be asked of the vendor, and how long it may take.
    #[serde(default)]
    pub budget: BudgetSettings,
    /// Private certificates.
    #[serde(default)]
    pub tls: TlsSettings,
    /// What a call costs.
    pub price: Option<PriceSettings>,
    /// The SOAP envelope; needed when `protocol` is `soap`.
    pub soap: Option<SoapSpec>,
    /// The IANA time zone of times that the vendor sends without one; without it such times are refused.
    pub zone: Option<String>,
    /// Tables for the filter `lookup`, each with a value for every key.
    #[serde(default)]
    pub tables: BTreeMap<String, BTreeMap<String, Written>>,
    /// How failures read, for all operations that don't say it themselves.
    #[serde(default)]
    pub errors: ErrorsSpec,
    /// How long records are kept, for all operations that don't say it themselves.
    #[serde(default)]
    pub cache: CacheSpec,
    /// What the source supplies: keys that start with a capital letter are entities of the graph.
    #[serde(rename = "<Entity>", default)]
    pub entities: BTreeMap<String, EntitySpec>,
}

/// What a vendor speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// JSON over HTTP.
    Rest,
    /// SOAP 1.1 or 1.2.
    Soap,
    /// GraphQL over HTTP.
    Graphql,
}

impl Protocol {
    /// The name in the graph.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Soap => "SOAP",
            Self::Graphql => "GRAPHQL",
        }
    }
}

/// The SOAP envelope.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoapSpec {
    /// The version of SOAP; write it in quotes.
    pub version: SoapVersion,
    /// Prefixes and their namespaces; elements of these are known by their local names in paths.
    #[serde(default)]
    pub namespaces: Texts,
    /// The content of the envelope's header, as an XML template.
    #[serde(default)]
    pub header: String,
    /// Whether every element is known by its local name, for vendors that are sloppy with namespaces.
    #[serde(default)]
    pub lenient: bool,
}

/// A version of SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SoapVersion {
    /// SOAP 1.1.
    #[serde(rename = "1.1")]
    V1_1,
    /// SOAP 1.2.
    #[serde(rename = "1.2")]
    V1_2,
}

/// How failures read.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorsSpec {
    /// An expression over the reply (`body`, `status`, `headers`) that is false when a reply with a good status tells of a failure.
    pub success: Option<String>,
    /// An expression over the failed reply that gives the vendor's code of the failure. Of SOAP, `fault` has `code`, `subcodes`,
    /// `reason` and `detail`, and the fault's own code is the default; of GraphQL, `errors` are those of the reply.
    pub code: Option<String>,
    /// An expression over the failed reply that gives the vendor's words; they go into the log, never to callers.
    pub message: Option<String>,
    /// An expression over the failed reply that names the vendor's field that is at fault; it goes into the log.
    pub field: Option<String>,
    /// An expression over the failed reply that gives the seconds to wait.
    pub retry_after: Option<String>,
    /// What the vendor's codes mean, and HTTP statuses that mean something uncommon.
    pub classes: BTreeMap<String, ClassSpec>,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassSpec {
    /// The credential is wrong, expired or revoked.
    Unauthorized,
    /// The credential does not allow this.
    Forbidden,
    /// Too many calls; later ones may succeed.
    RateLimited,
    /// A quota is used up; the same as `rate_limited` for callers.
    Quota,
    /// The vendor gave up waiting for itself.
    Timeout,
    /// The vendor is down or broken.
    Unavailable,
    /// The reply does not make sense.
    InvalidResponse,
    /// The vendor refuses the request as wrong.
    Rejected,
    /// There is no such record; not a failure.
    NotFound,
    /// The token or session is over: it is renewed, and a safe call made again once.
    AuthExpired,
    /// The vendor is broken for the moment; the same as `unavailable`.
    Transient,
    /// The vendor finds the request invalid; the same as `rejected`.
    Invalid,
    /// The vendor will never do this; the same as `rejected`.
    Permanent,
}

/// How long records are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSpec {
    /// How long a record is served without asking again; 60s when nobody says otherwise.
    pub fresh: Option<Span>,
    /// How long after that it is still served while it is read again, or when the vendor fails; 10m when nobody says otherwise.
    pub stale: Option<Span>,
    /// How long it is remembered that there is no such record; 10s when nobody says otherwise.
    pub not_found: Option<Span>,
}

/// How the source supplies one entity.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitySpec {
    /// The vendor's name for such an object; the entity's name in lower case when absent. It is part of ids, so it must not change.
    #[serde(rename = "type")]
    pub remote_type: Option<String>,
    /// An expression that gives the vendor's id of the record.
    pub id: String,
    /// The address of the record in the vendor's own user interface, as a text with `{{ expression }}` over the record.
    pub url: Option<String>,
    /// An expression that is true when the vendor marks the record as deleted.
    pub deleted: Option<String>,
    /// Where the fields of the entity come from.
    #[serde(default)]
    pub fields: BTreeMap<String, Mapping>,
    /// Values outside the graph's own fields, shown as `customFields`.
    #[serde(default)]
    pub custom: BTreeMap<String, CustomSpec>,
    /// Foreign keys: by the name of the relation, an expression that gives one key or several.
    #[serde(default)]
    pub links: BTreeMap<String, LinkSpec>,
    /// What a customer is recognised by in other sources; of `Customer` only.
    #[serde(default)]
    pub identifiers: IdentifiersSpec,
    /// What must be true of the records, and what happens to one of which it is not.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
    /// What the source can do: `get` by ids, `list`, `search`, `by` and a link (`byCustomer`), `byEmail`, `byExternalId`.
    #[serde(rename = "<operation>", default)]
    pub operations: BTreeMap<String, OperationSpec>,
}

/// Where a field comes from: an expression; `from` with `as`, `otherwise` and `default`; `value`, a constant; `each` with `fields`, a
/// list of objects; or the fields of a nested object. A list of these gives a list of objects.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Mapping(pub Written);

/// A value outside the graph's own fields.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomSpec {
    /// An expression that gives the value.
    pub from: String,
    /// The type of the value: a `CustomFieldType` of the graph.
    #[serde(rename = "type")]
    pub kind: String,
    /// The label for people.
    pub label: Option<String>,
}

/// A foreign key: an expression, or `from` with more about the record it points at.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LinkSpec {
    /// An expression.
    Expression(String),
    /// An expression and more about the record it points at.
    Long(LongLinkSpec),
}

/// A foreign key with more about the record it points at.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongLinkSpec {
    /// An expression that gives one key or several.
    pub from: String,
    /// The vendor's name for the kind of object that the key is of; that of the entity in this file when absent.
    #[serde(rename = "type")]
    pub remote_type: Option<String>,
    /// The source that the key belongs to, when it is another one.
    pub source: Option<String>,
}

/// What a customer is recognised by in other sources.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct IdentifiersSpec {
    /// E-mail addresses.
    pub email: Option<IdentifierSpec>,
    /// Ids that other sources issued, by the key of that source.
    pub external_id: BTreeMap<String, IdentifierSpec>,
}

/// One kind of identifier: an expression, or `from` with how far to trust it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IdentifierSpec {
    /// An expression.
    Expression(String),
    /// An expression, and how far to trust what it gives.
    Long(LongIdentifierSpec),
}

/// An identifier, and how far to trust it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongIdentifierSpec {
    /// An expression that gives one identifier or several.
    pub from: String,
    /// An expression that tells whether the vendor confirmed it: one answer for all, or a list with one for each.
    pub verified: Option<String>,
    /// Who vouches for it when `verified` does not say.
    pub trust: Option<Trust>,
}

/// Something that must be true of a record: an expression over the vendor's record, or tests of a field of the graph.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// An expression over the vendor's record that must be true.
    pub check: Option<String>,
    /// The field that the tests look at, dotted for nested ones; of a list, each item. Money is compared by its amount.
    pub field: Option<String>,
    /// Whether the field must have a value. The other tests pass over a field without one.
    #[serde(default)]
    pub required: bool,
    /// A regular expression that the whole text must match; matching takes linear time.
    pub pattern: Option<String>,
    /// The least number, time, day or amount.
    pub min: Option<Written>,
    /// The largest number, time, day or amount.
    pub max: Option<Written>,
    /// How many characters a text has at least.
    pub min_length: Option<usize>,
    /// How many characters a text has at most.
    pub max_length: Option<usize>,
    /// The values that are allowed.
    pub one_of: Option<Vec<Written>>,
    /// What is wrong when the rule is broken; without personal data, since it is shown to operators.
    pub message: Option<String>,
    /// What happens to a record that breaks the rule.
    #[serde(default)]
    pub fails: BreachSpec,
}

/// What happens to a record that breaks a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreachSpec {
    /// It is left out alone, and counted as refused.
    #[default]
    Refuse,
    /// Its field is null; an empty list when it is a list.
    NullField,
    /// It stays as it is.
    Warn,
}

/// Something the source can do for an entity.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationSpec {
    /// REST: the method, path and query, such as `GET /users/{{ key }}?page[size]={{ page.size }}`. Values are encoded. A parameter
    /// `name?={{ expression }}` is left out when there is no value.
    pub request: Option<String>,
    /// Headers of this call, as text templates.
    #[serde(default)]
    pub headers: Texts,
    /// REST: the JSON body as a structure whose texts are templates; a text that is exactly one `{{ expression }}` keeps its type,
    /// and a member `name?` is left out when there is no value. SOAP: the content of the envelope's body, as an XML template.
    pub body: Option<Written>,
    /// REST: a form instead of a JSON body.
    pub form: Option<BTreeMap<String, Written>>,
    /// SOAP: the action.
    pub action: Option<String>,
    /// SOAP: whether every element of this reply is known by its local name; that of `soap` when absent.
    pub lenient: Option<bool>,
    /// GraphQL: the document, with one operation.
    pub document: Option<String>,
    /// GraphQL: the variables, as a structure whose texts are templates.
    pub variables: Option<BTreeMap<String, Written>>,
    /// How several keys are asked for at once; without it one call is made for each key.
    pub batch: Option<BatchSpec>,
    /// The path of the records in the reply. A single object counts as a list of one; without it the reply itself is the record.
    pub items: Option<String>,
    /// SOAP: elements that are lists even when there is one of them.
    #[serde(default)]
    pub many: Vec<String>,
    /// How further pages are read.
    pub page: Option<PageSpec>,
    /// The path of the exact number of records, when the vendor tells it.
    pub total: Option<String>,
    /// An expression over the reply that is false when a reply with a good status tells of a failure.
    pub success: Option<String>,
    /// How failures of this operation read, where that differs from the file's `errors`.
    #[serde(default)]
    pub error: ErrorsSpec,
    /// How a reply tells that some of its records failed and others did not.
    pub partial: Option<PartialSpec>,
    /// HTTP statuses that mean that there is no such record, when one key is asked for; 404 and 410 when absent.
    pub not_found: Option<Vec<u16>>,
    /// Whether the call may be repeated; true when absent, since these operations read.
    pub safe: Option<bool>,
    /// The vendor's header that makes a call with `safe: false` happen once however often it is sent, such as `Idempotency-Key`;
    /// each call gets a key of its own.
    pub idempotency: Option<String>,
    /// REST and GraphQL: the media type of the replies when the vendor says a wrong one, such as `text/html`; any that is not of
    /// JSON is a failure otherwise.
    pub content_type: Option<String>,
    /// What may be asked of the vendor by this operation; the budget of the file holds as well.
    #[serde(default)]
    pub budget: OperationBudgetSettings,
    /// How long the records are kept.
    #[serde(default)]
    pub cache: CacheSpec,
    /// Filters that the vendor evaluates itself, by their names in the graph.
    #[serde(default)]
    pub filters: BTreeMap<String, FilterSpec>,
    /// Sort orders that the vendor can answer in, by their names in the graph.
    #[serde(default)]
    pub sort: BTreeMap<String, DirectionsSpec>,
    /// The order that the vendor answers in when it is not asked for one.
    pub sorted: Option<SortedSpec>,
}

/// How several keys are asked for at once.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSpec {
    /// How many keys one call may have.
    pub max: usize,
    /// How records find back to their keys.
    #[serde(default)]
    pub align: AlignSpec,
    /// An expression over a record that gives the key or keys it belongs to. When absent: the record's id for `get`, the link for
    /// `byLink`, the identifier for `byEmail` and `byExternalId`.
    pub key: Option<String>,
}

/// How records find back to their keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlignSpec {
    /// By a key in the record itself; the order does not matter and records may be missing.
    #[default]
    ByKey,
    /// By place: as many items as keys, in the same order, null where there is none.
    Position,
}

/// How a reply tells that some of its records failed: by a mark on each item, or by a list of failures beside them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartialSpec {
    /// An expression over an item that is false when the item tells of a failure.
    pub success: Option<String>,
    /// The path within an item of the record itself, when the item only wraps it.
    pub record: Option<String>,
    /// The path of failures that stand beside the records.
    pub errors: Option<String>,
    /// An expression over a failed item or such a failure that gives the key or keys it is about. Without it, a failed item is
    /// about the keys that a record in its place would be for, and a failure beside the records about all keys without a record.
    pub key: Option<String>,
    /// An expression over it that gives the vendor's code; `errors.classes` tells what the code means.
    pub code: Option<String>,
    /// An expression over it that gives the vendor's words, for the log.
    pub message: Option<String>,
}

/// How further pages are read; exactly one of `cursor`, `next`, `link_header`, `offset` and `number` says how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageSpec {
    /// How many records a page has, as `page.size` in templates.
    #[serde(default = "PageSpec::size")]
    pub size: usize,
    /// How many pages are read for one question.
    #[serde(default = "PageSpec::pages")]
    pub max_pages: usize,
    /// How many records are read for one question.
    #[serde(default = "PageSpec::items")]
    pub max_items: usize,
    /// The path of the next page's cursor in the reply; it is `page.cursor` in templates.
    pub cursor: Option<String>,
    /// REST: the query parameter that takes the cursor, when the templates don't use `page.cursor`.
    #[serde(rename = "as")]
    pub parameter: Option<String>,
    /// An expression over the reply that tells whether there is a next page.
    pub more: Option<String>,
    /// The path of the next page's address in the reply; it must be of the same origin.
    pub next: Option<String>,
    /// Whether the next page's address is in the header `Link` with `rel=next`.
    #[serde(default)]
    pub link_header: bool,
    /// REST: the query parameter that takes the number of records to skip; `true` when a template uses `page.offset`.
    pub offset: Option<PlaceSpec>,
    /// REST: the query parameter that takes the number of the page; `true` when a template uses `page.number`.
    pub number: Option<PlaceSpec>,
    /// The number of the first page.
    #[serde(default = "PageSpec::first")]
    pub first: u64,
    /// The path of the number of all records, to know when the last page is reached.
    pub total: Option<String>,
}

impl PageSpec {
    fn size() -> usize {
        100
    }

    fn pages() -> usize {
        20
    }

    fn items() -> usize {
        2000
    }

    fn first() -> u64 {
        1
    }
}

/// Where a page's place goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PlaceSpec {
    /// Into a template that reads it.
    Template(bool),
    /// Into this query parameter.
    Query(String),
}

/// How a filter or sort order is handed to the vendor.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlacementSpec {
    /// REST: query parameters, as templates; a list becomes a repeated parameter.
    pub query: BTreeMap<String, Written>,
    /// REST: members of the JSON body, as templates.
    pub body: BTreeMap<String, Written>,
    /// GraphQL: variables, as templates.
    pub variables: BTreeMap<String, Written>,
    /// What `filter.NAME` or `sort.value` is in the operation's own templates, as a template.
    pub value: Option<Written>,
}

/// A filter that the vendor evaluates itself. Its templates read `value`, what the caller gave, and `raw`, the same in the vendor's
/// words: the inverse of the `as` table of the field that the filter compares.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterSpec {
    /// REST: query parameters, as templates; a list becomes a repeated parameter.
    pub query: BTreeMap<String, Written>,
    /// REST: members of the JSON body, as templates.
    pub body: BTreeMap<String, Written>,
    /// GraphQL: variables, as templates.
    pub variables: BTreeMap<String, Written>,
    /// What `filter.NAME` is in the operation's own templates, as a template; the caller's value when absent.
    pub value: Option<Written>,
    /// Whether the vendor only narrows the answer down, so that the gateway applies the filter again.
    pub partial: bool,
    /// Whether the vendor takes one value only, so that several are left to the gateway.
    pub single: bool,
}

/// How one sort order is asked for in each direction; a direction that is absent is not offered.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DirectionsSpec {
    /// Ascending.
    pub asc: Option<PlacementSpec>,
    /// Descending.
    pub desc: Option<PlacementSpec>,
}

/// The order that the vendor answers in by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SortedSpec {
    /// A field of the entity.
    pub field: String,
    /// The direction.
    pub direction: DirectionSpec,
}

/// A direction of sorting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DirectionSpec {
    /// Smallest or oldest first.
    Asc,
    /// Largest or newest first.
    Desc,
}
