//! Renders an operation's call: the templates are filled, then the protocol encodes what they gave.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use url::Url;

use crate::connector::failure::{CallFailure, FailureClass};
use crate::connector::language::body::ValueTemplate;
use crate::connector::language::error::EvaluateError;
use crate::connector::language::request::RequestTemplate;
use crate::connector::language::template::Context;
use crate::connector::language::xml::XmlTemplate;
use crate::connector::operation::{
    CallPlan, Operation, PageKind, Placement, Plan, RestBody, SoapPlan,
};
use crate::connector::page::Position;
use crate::connector::{Ask, Connector};
use crate::protocol::tree::Tree;
use crate::protocol::url::{RenderedPath, percent_encode, target};
use crate::protocol::{graphql, json, soap};
use crate::transport::Call;

/// What one call asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) keys: &'a [std::sync::Arc<str>],
    pub(crate) ask: &'a Ask,
    pub(crate) position: &'a Position,
    pub(crate) size: usize,
}

/// What filters and the order add to a call.
#[derive(Debug, Default)]
struct Additions {
    query: Vec<(String, String)>,
    body: Vec<(Box<str>, Tree)>,
    variables: Vec<(Box<str>, Tree)>,
}

fn refused(error: &EvaluateError) -> CallFailure {
    CallFailure::new(
        FailureClass::Rejected,
        format!("the call can't be written: {error}"),
    )
}

impl Connector {
    /// Writes the call for one page of an operation.
    pub(crate) fn render(&self, op: &Operation, asked: Asked<'_>) -> Result<Call, CallFailure> {
        let plan = &op.plan;
        let mut additions = Additions::default();
        let filter = self.filters(op, asked.ask, &mut additions)?;
        let sort = self.sort(plan, asked.ask, &mut additions)?;
        let context = self.context(asked, filter, sort);
        let mut headers = Vec::with_capacity(plan.headers.len());
        for (name, template) in &plan.headers {
            let value = template.render(&context).map_err(|error| refused(&error))?;
            headers.push((name.clone(), header_value(&value)?));
        }
        let mut call = match &plan.call {
            CallPlan::Rest { request, body } => {
                let query = page_parameter(plan, asked);
                self.rest(plan, (request, body), &context, (additions, query))?
            }
            CallPlan::Soap(soap) => self.soap(plan, soap, &context)?,
            CallPlan::Graphql {
                document,
                operation,
                variables,
            } => {
                let variables = variables
                    .render(&context)
                    .map_err(|error| refused(&error))?;
                let variables = merged(variables, additions.variables);
                let body = graphql::encode(document, &variables, operation.as_deref());
                let accept = "application/graphql-response+json, application/json;q=0.9";
                let mut call = self.call(plan, Method::POST, self.url.clone(), body);
                default_header(&mut call.headers, header::ACCEPT, accept);
                default_header(&mut call.headers, header::CONTENT_TYPE, "application/json");
                call
            }
        };
        if let Position::Link(link) = asked.position {
            call.url = link.clone();
        }
        // What the file says goes before what the protocol would send, except in SOAP, whose headers are part of the call.
        let is_soap = matches!(plan.call, CallPlan::Soap(_));
        let own = |name: &HeaderName| headers.iter().any(|(known, _)| known == name);
        call.headers.retain(|(name, _)| is_soap || !own(name));
        headers.retain(|(name, _)| !call.headers.iter().any(|(known, _)| known == name));
        call.headers.append(&mut headers);
        Ok(call)
    }

    fn rest(
        &self,
        plan: &Plan,
        call: (&RequestTemplate, &RestBody),
        context: &Context,
        more: (Additions, Option<(String, String)>),
    ) -> Result<Call, CallFailure> {
        let (request, body) = call;
        let (additions, page) = more;
        let rendered = request.render(context).map_err(|error| refused(&error))?;
        let path = RenderedPath {
            segments: rendered.segments,
            trailing_slash: rendered.trailing_slash,
        };
        let mut query = rendered.query;
        query.extend(additions.query);
        query.extend(page);
        let url = target(&self.url, &path, &query)
            .map_err(|error| CallFailure::new(FailureClass::Rejected, error.to_string()))?;
        let (body, kind) = rest_body(body, context, additions.body)?;
        let mut call = self.call(plan, rendered.method, url, body);
        default_header(&mut call.headers, header::ACCEPT, "application/json");
        if let Some(kind) = kind {
            default_header(&mut call.headers, header::CONTENT_TYPE, kind);
        }
        Ok(call)
    }

    fn soap(&self, plan: &Plan, soap: &SoapPlan, context: &Context) -> Result<Call, CallFailure> {
        let render =
            |template: &XmlTemplate| template.render(context).map_err(|error| refused(&error));
        let (head, body) = (render(&soap.header)?, render(&soap.body)?);
        let namespaces = &soap.options.namespaces;
        let envelope = soap::call::envelope(soap.version, &head, &body, namespaces);
        let mut call = self.call(plan, Method::POST, self.url.clone(), envelope.bytes);
        call.block_at = Some(envelope.header_end);
        let named = soap::call::headers(soap.version, &soap.action)
            .map_err(|error| CallFailure::new(FailureClass::Rejected, error.to_string()))?;
        for (name, value) in named {
            call.headers
                .push((HeaderName::from_static(name), header_value(&value)?));
        }
        Ok(call)
    }

    fn call(&self, plan: &Plan, method: Method, url: Url, body: Vec<u8>) -> Call {
        Call {
            operation: plan.label.clone(),
            method,
            url,
            headers: Vec::new(),
            body: Bytes::from(body),
            safe: plan.safe,
            // A new key for each call; what the transport repeats has the same.
            idempotency: plan.idempotency.clone().and_then(|name| {
                let key = uuid::Uuid::new_v4().to_string();
                Some((name, HeaderValue::from_str(&key).ok()?))
            }),
            inner: 1,
            block_at: None,
        }
    }

    /// The values of the pushed-down filters as `filter` in templates, and what they add to the call.
    fn filters(
        &self,
        op: &Operation,
        ask: &Ask,
        additions: &mut Additions,
    ) -> Result<Tree, CallFailure> {
        let plan = &op.plan;
        let unknown = ask
            .filter
            .iter()
            .find(|(name, _)| !plan.filters.iter().any(|filter| filter.name == *name));
        if let Some((name, _)) = unknown {
            let detail = format!("`{}` does not push the filter `{name}` down", plan.label);
            return Err(CallFailure::new(FailureClass::Unsupported, detail));
        }
        let mut members = Vec::with_capacity(plan.filters.len());
        for filter in &plan.filters {
            let given = ask.filter.iter().find(|(name, _)| *name == filter.name);
            let Some((_, value)) = given else {
                members.push((filter.name.as_ref().into(), Tree::Null));
                continue;
            };
            if filter.single && !op.can_push(&filter.name, value) {
                let detail = format!(
                    "`{}` takes one value of the filter `{}`",
                    plan.label, filter.name
                );
                return Err(CallFailure::new(FailureClass::Unsupported, detail));
            }
            let mut values = vec![("value".into(), tree_of(value))];
            if let Some(inverse) = &filter.inverse {
                let Some(raw) = inverse.raw_of(value) else {
                    let detail = format!(
                        "`{}` has no word for this value of the filter `{}`",
                        plan.label, filter.name
                    );
                    return Err(CallFailure::new(FailureClass::Unsupported, detail));
                };
                values.push((
                    "raw".into(),
                    Tree::List(raw.into_iter().map(Tree::from).collect()),
                ));
            }
            values.push(("source".into(), self.about()));
            let context = Context::new(values);
            let placed = filter.placement.add(&context, additions)?;
            members.push((
                filter.name.as_ref().into(),
                placed.unwrap_or_else(|| tree_of(value)),
            ));
        }
        Ok(Tree::Map(members))
    }

    fn sort(&self, plan: &Plan, ask: &Ask, additions: &mut Additions) -> Result<Tree, CallFailure> {
        let mut value = Tree::Null;
        let (mut field, mut direction) = (Tree::Null, Tree::Null);
        if let Some((name, descending)) = &ask.sort {
            let known = |sort: &&crate::connector::operation::SortPlan| {
                sort.name == *name && sort.descending == *descending
            };
            let Some(sort) = plan.sorts.iter().find(known) else {
                let detail = format!("`{}` can't answer in the order `{name}`", plan.label);
                return Err(CallFailure::new(FailureClass::Unsupported, detail));
            };
            field = Tree::from(&**name);
            direction = Tree::from(if *descending { "DESC" } else { "ASC" });
            let context = Context::new(vec![
                ("field".into(), field.clone()),
                ("direction".into(), direction.clone()),
                ("source".into(), self.about()),
            ]);
            value = sort.placement.add(&context, additions)?.unwrap_or_default();
        }
        Ok(Tree::Map(vec![
            ("field".into(), field),
            ("direction".into(), direction),
            ("value".into(), value),
        ]))
    }

    fn context(&self, asked: Asked<'_>, filter: Tree, sort: Tree) -> Context {
        let number = |number: u64| Tree::Number(number.to_string().into());
        let (cursor, offset, page) = match asked.position {
            Position::Start { offset, number } => (Tree::Null, *offset, *number),
            Position::Cursor(cursor) => (Tree::from(cursor.as_str()), 0, 1),
            Position::Link(_) => (Tree::Null, 0, 1),
            Position::Offset { offset, .. } => (Tree::Null, *offset, 1),
            Position::Number { number, .. } => (Tree::Null, 0, *number),
        };
        let size = u64::try_from(asked.size).unwrap_or(u64::MAX);
        let keys = asked.keys.iter().map(|key| Tree::from(&**key)).collect();
        let now = (self.surroundings.now)().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let mut values: Vec<(Box<str>, Tree)> = vec![
            ("keys".into(), Tree::List(keys)),
            (
                "page".into(),
                Tree::Map(vec![
                    ("size".into(), number(size)),
                    ("cursor".into(), cursor),
                    ("offset".into(), number(offset)),
                    ("number".into(), number(page)),
                ]),
            ),
            ("filter".into(), filter),
            ("sort".into(), sort),
            ("now".into(), Tree::from(now)),
            ("source".into(), self.about()),
        ];
        if let [key] = asked.keys {
            values.push(("key".into(), Tree::from(&**key)));
        }
        Context::new(values)
    }

    /// What templates know of the source itself.
    fn about(&self) -> Tree {
        let zone = self.zone.as_deref().map_or(Tree::Null, Tree::from);
        Tree::Map(vec![
            ("key".into(), Tree::from(&*self.source)),
            ("zone".into(), zone),
        ])
    }
}

impl Placement {
    /// Adds what the templates give to the call, and gives the value for the operation's own templates.
    fn add(
        &self,
        context: &Context,
        additions: &mut Additions,
    ) -> Result<Option<Tree>, CallFailure> {
        let render =
            |template: &ValueTemplate| template.render(context).map_err(|error| refused(&error));
        if let Some(query) = &self.query {
            add_pairs(render(query)?, &mut additions.query)?;
        }
        if let Some(body) = &self.body
            && let Tree::Map(members) = render(body)?
        {
            additions.body.extend(members);
        }
        if let Some(variables) = &self.variables
            && let Tree::Map(members) = render(variables)?
        {
            additions.variables.extend(members);
        }
        self.value.as_ref().map(render).transpose()
    }
}

/// The members as name and value; a list repeats its name, null is left out.
fn add_pairs(tree: Tree, pairs: &mut Vec<(String, String)>) -> Result<(), CallFailure> {
    let Tree::Map(members) = tree else {
        return Ok(());
    };
    for (name, value) in members {
        for item in crate::connector::map::items(&value) {
            let Some(text) = item.as_text() else {
                let detail = format!("the parameter `{name}` has no text of its own");
                return Err(CallFailure::new(FailureClass::Rejected, detail));
            };
            pairs.push((name.to_string(), text.into_owned()));
        }
    }
    Ok(())
}

fn merged(tree: Tree, more: Vec<(Box<str>, Tree)>) -> Tree {
    if more.is_empty() {
        return tree;
    }
    let mut members = match tree {
        Tree::Map(members) => members,
        _ => Vec::new(),
    };
    members.retain(|(name, _)| !more.iter().any(|(known, _)| known == name));
    members.extend(more);
    Tree::Map(members)
}

fn rest_body(
    body: &RestBody,
    context: &Context,
    more: Vec<(Box<str>, Tree)>,
) -> Result<(Vec<u8>, Option<&'static str>), CallFailure> {
    let render =
        |template: &ValueTemplate| template.render(context).map_err(|error| refused(&error));
    match body {
        RestBody::Nothing if more.is_empty() => Ok((Vec::new(), None)),
        RestBody::Nothing => Ok((json::encode(&Tree::Map(more)), Some("application/json"))),
        RestBody::Json(template) => {
            let tree = merged(render(template)?, more);
            Ok((json::encode(&tree), Some("application/json")))
        }
        RestBody::Form(template) => {
            let mut pairs = Vec::new();
            add_pairs(merged(render(template)?, more), &mut pairs)?;
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
                .collect();
            let kind = "application/x-www-form-urlencoded";
            Ok((pairs.join("&").into_bytes(), Some(kind)))
        }
    }
}

/// The query parameter that says which page it is, when no template does.
fn page_parameter(plan: &Plan, asked: Asked<'_>) -> Option<(String, String)> {
    let kind = &plan.page.as_ref()?.kind;
    let (name, value) = match (kind, asked.position) {
        (PageKind::Cursor { parameter, .. }, Position::Cursor(cursor)) => {
            (parameter.as_ref()?, cursor.clone())
        }
        (PageKind::Offset(name), Position::Offset { offset, .. }) => {
            (name.as_ref()?, offset.to_string())
        }
        (PageKind::Offset(name), Position::Start { offset, .. }) => {
            (name.as_ref()?, offset.to_string())
        }
        (PageKind::Number(name), Position::Number { number, .. }) => {
            (name.as_ref()?, number.to_string())
        }
        (PageKind::Number(name), Position::Start { number, .. }) => {
            (name.as_ref()?, number.to_string())
        }
        _ => return None,
    };
    Some((name.clone(), value))
}

fn header_value(text: &str) -> Result<HeaderValue, CallFailure> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| CallFailure::new(FailureClass::Rejected, "a header can't carry its value"))
}

fn default_header(
    headers: &mut Vec<(HeaderName, HeaderValue)>,
    name: HeaderName,
    value: &'static str,
) {
    if !headers.iter().any(|(known, _)| *known == name) {
        headers.push((name, HeaderValue::from_static(value)));
    }
}

/// JSON that callers gave, as a tree.
pub(crate) fn tree_of(value: &serde_json::Value) -> Tree {
    match value {
        serde_json::Value::Null => Tree::Null,
        serde_json::Value::Bool(truth) => Tree::Bool(*truth),
        serde_json::Value::Number(number) => Tree::Number(number.to_string().into()),
        serde_json::Value::String(text) => Tree::from(text.as_str()),
        serde_json::Value::Array(items) => Tree::List(items.iter().map(tree_of).collect()),
        serde_json::Value::Object(members) => Tree::Map(
            members
                .iter()
                .map(|(name, value)| (name.as_str().into(), tree_of(value)))
                .collect(),
        ),
    }
}
