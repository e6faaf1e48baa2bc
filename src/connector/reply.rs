//! Reads a vendor's reply: decodes it, and tells answers from failures whatever status they come with.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use url::Url;

use crate::connector::Connector;
use crate::connector::failure::{CallFailure, FailureClass};
use crate::connector::language::expression::{Expression, Scope};
use crate::connector::operation::{CallPlan, ErrorPlan, Operation};
use crate::connector::page::Seen;
use crate::protocol::limits::Limits;
use crate::protocol::soap::fault::Fault;
use crate::protocol::tree::Tree;
use crate::protocol::{graphql, json, soap};
use crate::transport::Reply;
use crate::transport::retry::retry_after;

/// Longest code and message of a vendor that go into the log.
const LOGGED_CHARS_MAX: usize = 200;
/// Longest media type that goes into the log.
const MEDIA_TYPE_CHARS_MAX: usize = 80;
/// Codes that GraphQL servers share.
const GRAPHQL_CODES: &[(&str, FailureClass)] = &[
    ("UNAUTHENTICATED", FailureClass::Unauthorized),
    ("FORBIDDEN", FailureClass::Forbidden),
    ("ACCESS_DENIED", FailureClass::Forbidden),
    ("THROTTLED", FailureClass::RateLimited),
    ("RATE_LIMITED", FailureClass::RateLimited),
    ("NOT_FOUND", FailureClass::NotFound),
    ("INTERNAL_SERVER_ERROR", FailureClass::Unavailable),
];

/// A reply that is an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Tree,
    pub(crate) status: Tree,
    pub(crate) headers: Tree,
    pub(crate) header_map: HeaderMap,
    pub(crate) url: Url,
    pub(crate) latency: Duration,
}

/// What a failed reply tells about its failure.
struct Evidence<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    /// The class when the table has none.
    default: FailureClass,
    /// The vendor's codes, the most particular first.
    codes: Vec<String>,
    what: &'static str,
}

impl Connector {
    /// Reads a reply. A failure that means "no such record" has the class `NotFound`.
    pub(crate) fn read(
        &self,
        op: &Operation,
        reply: Reply,
        url: Url,
    ) -> Result<Answer, CallFailure> {
        let limits = Limits {
            bytes: usize::MAX,
            ..Limits::default()
        };
        let headers = header_tree(&reply.headers);
        let status = Tree::Number(reply.status.as_str().into());
        let body = match &op.plan.call {
            CallPlan::Rest { .. } => self.read_rest(op, &reply, &limits, (&status, &headers))?,
            CallPlan::Soap(plan) => {
                let kind = content_type(&reply.headers);
                let decoded = soap::decode(&reply.body, Some(&kind), &plan.options, &limits);
                match decoded.map(|reply| reply.body) {
                    Ok(Ok(body)) if reply.status.is_success() => body,
                    Ok(Ok(body)) => {
                        let evidence = Evidence::of(&reply, "the reply has a failing status");
                        return Err(self.fail(op, &body, evidence, (&status, &headers)));
                    }
                    Ok(Err(fault)) => {
                        return Err(self.fault(op, &reply, &fault, (&status, &headers)));
                    }
                    Err(error) => return Err(undecodable(&reply, &error)),
                }
            }
            CallPlan::Graphql { .. } => {
                check_json(op, &reply)?;
                self.read_graphql(op, &reply, &limits, (&status, &headers))?
            }
        };
        let answer = Answer {
            body,
            status,
            headers,
            url,
            latency: reply.latency,
            header_map: reply.headers,
        };
        self.check_success(op, &answer, reply.status)?;
        Ok(answer)
    }

    fn read_rest(
        &self,
        op: &Operation,
        reply: &Reply,
        limits: &Limits,
        about: (&Tree, &Tree),
    ) -> Result<Tree, CallFailure> {
        let is_blank = reply.body.iter().all(u8::is_ascii_whitespace);
        let decoded = match is_blank {
            true => Ok(Tree::Null),
            false => json::decode(&reply.body, limits),
        };
        if !reply.status.is_success() {
            let body = decoded.unwrap_or_default();
            let evidence = Evidence::of(reply, "the reply has a failing status");
            return Err(self.fail(op, &body, evidence, about));
        }
        if !is_blank {
            check_json(op, reply)?;
        }
        decoded.map_err(|error| undecodable(reply, &error))
    }

    fn read_graphql(
        &self,
        op: &Operation,
        reply: &Reply,
        limits: &Limits,
        about: (&Tree, &Tree),
    ) -> Result<Tree, CallFailure> {
        let decoded = match graphql::decode(&reply.body, limits) {
            Ok(decoded) => decoded,
            Err(error) => return Err(undecodable(reply, &error)),
        };
        if decoded.errors.is_empty() && reply.status.is_success() {
            return Ok(decoded.data);
        }
        let classes = &op.plan.errors.classes;
        let class_of = |code: &str| {
            let shared = || GRAPHQL_CODES.iter().find(|(known, _)| *known == code);
            let own = classes.get(code).copied();
            own.or_else(|| shared().map(|(_, class)| *class))
        };
        let codes: Vec<String> = decoded
            .errors
            .iter()
            .filter_map(|error| error.code.clone())
            .collect();
        let all_absent = !codes.is_empty()
            && codes.len() == decoded.errors.len()
            && codes
                .iter()
                .all(|code| class_of(code) == Some(FailureClass::NotFound));
        if all_absent && !decoded.data.is_null() {
            return Ok(decoded.data);
        }
        let default = match codes.iter().find_map(|code| class_of(code)) {
            Some(class) => class,
            None if !reply.status.is_success() => FailureClass::of_status(reply.status),
            None if decoded.data.is_null() => FailureClass::Rejected,
            None => FailureClass::InvalidResponse,
        };
        let errors = decoded.errors.into_iter().map(|error| {
            let text = |text: Option<String>| text.map_or(Tree::Null, Tree::from);
            Tree::Map(vec![
                ("code".into(), text(error.code)),
                ("message".into(), text(error.message)),
                ("extensions".into(), error.extensions),
            ])
        });
        let body = Tree::Map(vec![
            ("data".into(), decoded.data),
            ("errors".into(), Tree::List(errors.collect())),
            ("extensions".into(), decoded.extensions),
        ]);
        let evidence = Evidence {
            default,
            codes,
            ..Evidence::of(reply, "the reply has errors")
        };
        Err(self.fail(op, &body, evidence, about))
    }

    fn check_success(
        &self,
        op: &Operation,
        answer: &Answer,
        status: StatusCode,
    ) -> Result<(), CallFailure> {
        let Some(success) = &op.plan.errors.success else {
            return Ok(());
        };
        let extra = answer.extra();
        let outcome = success
            .evaluate(&answer.scope(&extra))
            .map_err(|error| CallFailure::invalid(format!("`success` failed: {error}")))?;
        if outcome.is_true() {
            return Ok(());
        }
        let evidence = Evidence {
            status,
            headers: &answer.header_map,
            default: FailureClass::Rejected,
            codes: Vec::new(),
            what: "the reply tells of a failure",
        };
        let about = (&answer.status, &answer.headers);
        Err(self.fail(op, &answer.body, evidence, about))
    }

    fn fault(
        &self,
        op: &Operation,
        reply: &Reply,
        fault: &Fault,
        about: (&Tree, &Tree),
    ) -> CallFailure {
        let default = match reply.status.as_u16() {
            401 | 403 | 408 | 429 | 503 | 504 => FailureClass::of_status(reply.status),
            _ => match fault.code.split('.').next().unwrap_or_default() {
                "Server" | "Receiver" => FailureClass::Unavailable,
                "VersionMismatch" | "MustUnderstand" | "DataEncodingUnknown" => {
                    FailureClass::InvalidResponse
                }
                _ => FailureClass::Rejected,
            },
        };
        let mut codes: Vec<String> = fault.subcodes.iter().rev().cloned().collect();
        codes.extend((!fault.code.is_empty()).then(|| fault.code.clone()));
        let subcodes = fault.subcodes.iter().map(|code| Tree::from(code.as_str()));
        let body = Tree::Map(vec![(
            "fault".into(),
            Tree::Map(vec![
                ("code".into(), Tree::from(fault.code.as_str())),
                ("subcodes".into(), Tree::List(subcodes.collect())),
                ("reason".into(), Tree::from(fault.reason.as_str())),
                ("detail".into(), fault.detail.clone()),
            ]),
        )]);
        let evidence = Evidence {
            default,
            codes,
            ..Evidence::of(reply, "the reply is a fault")
        };
        self.fail(op, &body, evidence, about)
    }

    /// Classifies a failure: by the file's table of codes and statuses, else by the default.
    fn fail(
        &self,
        op: &Operation,
        body: &Tree,
        evidence: Evidence<'_>,
        about: (&Tree, &Tree),
    ) -> CallFailure {
        let plan: &ErrorPlan = &op.plan.errors;
        let extra = [("body", body), ("status", about.0), ("headers", about.1)];
        let scope = Scope {
            item: body,
            root: Some(body),
            parent: None,
            extra: &extra,
        };
        let text = |expression: &Option<Expression>| -> Option<String> {
            let outcome = expression.as_ref()?.evaluate(&scope).ok()?;
            let text = outcome.value.as_text()?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let mut codes = evidence.codes.clone();
        if let Some(code) = text(&plan.code) {
            codes.insert(0, code);
        }
        let class = codes
            .iter()
            .find_map(|code| plan.classes.get(code))
            .or_else(|| plan.classes.get(evidence.status.as_str()))
            .copied()
            .unwrap_or_else(|| evidence.class(&op.plan.not_found));
        let told = text(&plan.retry_after).and_then(|text| text.parse::<f64>().ok());
        let told = told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let message = text(&plan.message).map(|text| cut(&text));
        let mut detail = format!("{} ({})", evidence.what, evidence.status.as_u16());
        if let Some(message) = message {
            detail = format!("{detail}: {message}");
        }
        CallFailure {
            retry_after: retry_after(evidence.headers, (self.surroundings.now)()).or(told),
            vendor_code: codes.first().map(|code| cut(code)),
            ..CallFailure::new(class, detail)
        }
    }
}

impl<'a> Evidence<'a> {
    fn of(reply: &'a Reply, what: &'static str) -> Self {
        Self {
            status: reply.status,
            headers: &reply.headers,
            default: FailureClass::of_status(reply.status),
            codes: Vec::new(),
            what,
        }
    }

    /// The class when the table has none; the operation says which statuses mean that there is no such record.
    fn class(&self, not_found: &[u16]) -> FailureClass {
        match (
            not_found.contains(&self.status.as_u16()),
            self.status.as_u16(),
        ) {
            (true, _) => FailureClass::NotFound,
            (false, 404 | 410) => FailureClass::Rejected,
            (false, _) => self.default,
        }
    }
}

impl Answer {
    /// The names that expressions over the reply have beside its members.
    pub(crate) fn extra(&self) -> [(&'static str, &Tree); 3] {
        [
            ("body", &self.body),
            ("status", &self.status),
            ("headers", &self.headers),
        ]
    }

    /// The scope of expressions over the reply.
    pub(crate) fn scope<'a>(&'a self, extra: &'a [(&'a str, &'a Tree)]) -> Scope<'a> {
        Scope {
            item: &self.body,
            root: Some(&self.body),
            parent: None,
            extra,
        }
    }

    /// What paging needs to know of it.
    pub(crate) fn seen<'a>(&'a self, scope: &'a Scope<'a>, count: usize, size: usize) -> Seen<'a> {
        Seen {
            scope,
            headers: &self.header_map,
            url: &self.url,
            count,
            size,
        }
    }
}

/// A failure to decode; a status that tells more goes before it.
fn undecodable(reply: &Reply, error: &crate::protocol::error::DecodeError) -> CallFailure {
    if reply.status.is_success() {
        let kind = media_type(&reply.headers);
        return CallFailure::invalid(format!("{error}; the reply says to be `{kind}`"));
    }
    CallFailure::new(
        FailureClass::of_status(reply.status),
        format!("the reply has a failing status ({})", reply.status.as_u16()),
    )
}

/// Refuses a body that says not to be JSON, such as the page of a proxy: said to be JSON, not said at all, sent as plain text
/// as some vendors do, or what the operation says of its vendor.
fn check_json(op: &Operation, reply: &Reply) -> Result<(), CallFailure> {
    let kind = media_type(&reply.headers);
    let declared = op.plan.errors.content_type.as_ref();
    let is_declared = declared.is_some_and(|declared| declared.eq_ignore_ascii_case(&kind));
    let is_json = !reply.status.is_success() || kind.is_empty() || kind.contains("json");
    if is_declared || is_json || matches!(&*kind, "text/plain" | "text/javascript") {
        return Ok(());
    }
    Err(CallFailure::invalid(format!(
        "the reply says to be `{kind}` and not JSON"
    )))
}

/// The media type without its parameters, with nothing in it that is not of a media type.
fn media_type(headers: &HeaderMap) -> String {
    let kind = content_type(headers);
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let known = |c: &char| c.is_ascii_alphanumeric() || "/+-._".contains(*c);
    kind.chars()
        .filter(known)
        .take(MEDIA_TYPE_CHARS_MAX)
        .collect()
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase()
}

fn header_tree(headers: &HeaderMap) -> Tree {
    let members = headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().into(), Tree::from(value)))
    });
    Tree::Map(members.collect())
}

fn cut(text: &str) -> String {
    let line = text.chars().filter(|c| !c.is_control());
    line.take(LOGGED_CHARS_MAX).collect()
}

/// The label of what refused a record, for operators.
pub(crate) fn refusal(
    source: &Arc<str>,
    op: &Operation,
    error: &crate::connector::map::MapError,
) -> crate::connector::failure::Refusal {
    crate::connector::failure::Refusal {
        reason: format!(
            "{source}, {}: `{}` {}",
            op.plan.label, error.path, error.reason
        ),
    }
}
