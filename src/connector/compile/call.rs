//! Compiles what an operation sends: request line and body, SOAP body, GraphQL document and variables.

use std::cell::RefCell;
use std::collections::BTreeMap;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::DocumentOperations;

use crate::connector::compile::mapping::Surroundings;
use crate::connector::compile::operation::Shared;
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::language::body::ValueTemplate;
use crate::connector::language::request::RequestTemplate;
use crate::connector::language::scan::NameUse;
use crate::connector::language::xml::XmlTemplate;
use crate::connector::operation::{CallPlan, Placement, RestBody, SoapPlan};
use crate::connector::spec::{OperationSpec, PlacementSpec, Protocol, SoapSpec, SoapVersion};
use crate::connector::written::Written;
use crate::protocol::soap::{SoapOptions, Version};
use crate::protocol::tree::Tree;

/// The deepest nesting of a document's brackets; the parser recurses.
const BRACKETS_MAX: usize = 64;

/// The names that templates may read.
#[derive(Debug)]
pub(crate) struct Names {
    known: Vec<&'static str>,
    /// The members of `filter`.
    filters: Vec<String>,
}

impl Names {
    /// Those of an operation.
    pub(crate) fn of(name: &str, spec: &OperationSpec) -> Self {
        let mut known = vec!["page", "filter", "sort", "now", "source"];
        match (name, &spec.batch) {
            ("list", _) => {}
            (_, Some(_)) => known.push("keys"),
            (_, None) => known.extend(["key", "keys"]),
        }
        Self {
            known,
            filters: spec.filters.keys().cloned().collect(),
        }
    }

    /// Those that are the same for all operations.
    pub(crate) fn shared() -> Self {
        Self::only(&["now", "source"])
    }

    /// These and no others.
    pub(crate) fn only(known: &[&'static str]) -> Self {
        Self {
            known: known.to_vec(),
            filters: Vec::new(),
        }
    }

    /// Tells names that templates don't have.
    pub(crate) fn check(&self, report: &mut Report<'_>, used: &[NameUse]) {
        for one in used {
            self.check_one(report, one);
        }
    }

    fn check_one(&self, report: &mut Report<'_>, used: &NameUse) {
        if self.known.contains(&&*used.name) {
            self.check_members(report, used);
            return;
        }
        let message = format!("Templates have no `{}` here.", used.name);
        let hint = match &*used.name {
            "key" if self.known.contains(&"keys") => {
                Some("A batch has `keys`, all of them.".to_owned())
            }
            name => did_you_mean(name, self.known.iter().copied()),
        };
        report.text_error("unknown-variable", used.offset, message, hint);
    }

    fn check_members(&self, report: &mut Report<'_>, used: &NameUse) {
        let members: Vec<&str> = match &*used.name {
            "page" => vec!["size", "cursor", "offset", "number"],
            "source" => vec!["key", "zone"],
            "sort" => vec!["field", "direction", "value"],
            "filter" => self.filters.iter().map(String::as_str).collect(),
            "key" | "keys" | "now" => Vec::new(),
            _ => return,
        };
        for (member, offset) in &used.members {
            if !members.contains(&&**member) {
                let message = format!("`{}` has no `{member}`.", used.name);
                let hint = did_you_mean(member, members.iter().copied());
                report.text_error("unknown-variable", *offset, message, hint);
            }
        }
    }
}

/// The names that templates may read, and where those they read are kept.
type Scope<'a> = (&'a Names, &'a RefCell<Vec<String>>);

impl Surroundings<'_> {
    /// Compiles what is sent; `report` looks at the operation.
    pub(crate) fn call(
        &self,
        report: &mut Report<'_>,
        shared: &Shared<'_>,
        spec: &OperationSpec,
        scope: Scope<'_>,
    ) -> Option<CallPlan> {
        check_keys(report, shared.protocol);
        match shared.protocol {
            Protocol::Rest => self.rest(report, spec, scope),
            Protocol::Soap => self.soap(report, shared.soap?, spec, scope),
            Protocol::Graphql => self.graphql(report, spec, scope),
        }
    }

    fn rest(
        &self,
        report: &mut Report<'_>,
        spec: &OperationSpec,
        scope: Scope<'_>,
    ) -> Option<CallPlan> {
        let Some(text) = &spec.request else {
            let message = "An operation of `protocol: rest` needs `request`.";
            let hint = "Write `request: GET /path/{{ key }}`.".to_owned();
            report.name_error("missing-key", message, Some(hint));
            return None;
        };
        let request = report.at("request", |report| {
            match RequestTemplate::compile(text, self.language) {
                Ok(request) => {
                    note(scope, request.names());
                    scope.0.check(report, request.names());
                    Some(request)
                }
                Err(error) => {
                    report.language("template", error);
                    None
                }
            }
        });
        let body = match (&spec.body, &spec.form) {
            (Some(_), Some(_)) => {
                let message = "A call has either a `body` or a `form`.";
                report.at("form", |report| {
                    report.name_error("wrong-shape", message, None)
                });
                None
            }
            (Some(Written(Tree::Text(_))), None) => {
                let message = "The body of a REST call is a structure of JSON, not a text.";
                report.at("body", |report| report.error("wrong-shape", message));
                None
            }
            (Some(body), None) => self
                .values(report, "body", &body.0, scope)
                .map(RestBody::Json),
            (None, Some(form)) => self
                .values(report, "form", &tree_of(form), scope)
                .map(RestBody::Form),
            (None, None) => Some(RestBody::Nothing),
        };
        Some(CallPlan::Rest {
            request: request?,
            body: body?,
        })
    }

    fn soap(
        &self,
        report: &mut Report<'_>,
        soap: &SoapSpec,
        spec: &OperationSpec,
        scope: Scope<'_>,
    ) -> Option<CallPlan> {
        let Some(Written(Tree::Text(text))) = &spec.body else {
            let message = "An operation of `protocol: soap` needs `body`, an XML text.";
            report.name_error("missing-key", message, None);
            return None;
        };
        let body = report.at("body", |report| self.xml(report, text, scope));
        let header = XmlTemplate::compile(&soap.header, self.language).ok();
        let namespaces = soap.namespaces.clone().into_iter().collect();
        Some(CallPlan::Soap(Box::new(SoapPlan {
            version: match soap.version {
                SoapVersion::V1_1 => Version::V1_1,
                SoapVersion::V1_2 => Version::V1_2,
            },
            action: spec.action.clone().unwrap_or_default(),
            header: header?,
            body: body?,
            options: SoapOptions {
                namespaces,
                lenient: spec.lenient.unwrap_or(soap.lenient),
                many: spec.many.clone(),
            },
        })))
    }

    /// Compiles an XML text.
    pub(crate) fn xml(
        &self,
        report: &mut Report<'_>,
        text: &str,
        scope: Scope<'_>,
    ) -> Option<XmlTemplate> {
        match XmlTemplate::compile(text, self.language) {
            Ok(template) => {
                note(scope, template.names());
                scope.0.check(report, template.names());
                Some(template)
            }
            Err(error) => {
                report.language("template", error);
                None
            }
        }
    }

    fn graphql(
        &self,
        report: &mut Report<'_>,
        spec: &OperationSpec,
        scope: Scope<'_>,
    ) -> Option<CallPlan> {
        let Some(document) = &spec.document else {
            let message = "An operation of `protocol: graphql` needs `document`.";
            report.name_error("missing-key", message, None);
            return None;
        };
        let name = report.at("document", |report| operation_name(report, document));
        let variables = tree_of(spec.variables.as_ref().unwrap_or(&BTreeMap::new()));
        let variables = self.values(report, "variables", &variables, scope);
        Some(CallPlan::Graphql {
            document: document.clone(),
            operation: name?,
            variables: variables?,
        })
    }

    /// Compares the variables that a document declares with those that are given.
    pub(crate) fn variables(&self, report: &mut Report<'_>, document: &str, spec: &OperationSpec) {
        let Ok(parsed) = parse_query(document) else {
            return;
        };
        let mut declared: Vec<(String, bool)> = Vec::new();
        for (_, operation) in parsed.operations.iter() {
            for variable in &operation.node.variable_definitions {
                let node = &variable.node;
                let is_needed = !node.var_type.node.nullable && node.default_value.is_none();
                declared.push((node.name.node.to_string(), is_needed));
            }
        }
        let plain = |name: &str| name.strip_suffix('?').unwrap_or(name).to_owned();
        let names = || declared.iter().map(|(name, _)| name.as_str());
        let check = |report: &mut Report<'_>, name: &str| {
            if !declared.iter().any(|(known, _)| *known == plain(name)) {
                let message = format!(
                    "The document does not declare the variable `${}`.",
                    plain(name)
                );
                let hint = did_you_mean(&plain(name), names());
                report.at(name, |report| {
                    report.name_error("unknown-variable", message, hint)
                });
            }
        };
        for (path, name) in given(spec) {
            report.at_all(&path, |report| check(report, name));
        }
        let is_given = |name: &str| {
            let mut given = spec.variables.iter().flat_map(BTreeMap::keys);
            given.any(|given| given == name)
        };
        for (name, _) in declared.iter().filter(|(_, is_needed)| *is_needed) {
            if !is_given(name) {
                let message =
                    format!("The document needs the variable `${name}`, which is not given.");
                report.at("document", |report| {
                    report.name_error("missing-variable", message, None)
                });
            }
        }
    }

    /// Compiles a structure of templates under a key.
    fn values(
        &self,
        report: &mut Report<'_>,
        key: &str,
        structure: &Tree,
        scope: Scope<'_>,
    ) -> Option<ValueTemplate> {
        report.at(key, |report| {
            match ValueTemplate::compile(structure, self.language) {
                Ok(template) => {
                    for leaf in template.names() {
                        scope.1.borrow_mut().push(leaf.read.name.to_string());
                        within(report, structure, &leaf.path, |report| {
                            scope.0.check_one(report, &leaf.read);
                        });
                    }
                    Some(template)
                }
                Err(fault) => {
                    let path = fault.path;
                    within(report, structure, &path, |report| {
                        report.language("template", fault.error);
                    });
                    None
                }
            }
        })
    }

    /// Compiles how a filter or order is handed over; `report` looks at it.
    pub(crate) fn placement(
        &self,
        report: &mut Report<'_>,
        protocol: Protocol,
        spec: &PlacementSpec,
        scope: Scope<'_>,
    ) -> Placement {
        let uses = [
            ("query", &spec.query, protocol == Protocol::Rest),
            ("body", &spec.body, protocol == Protocol::Rest),
            ("variables", &spec.variables, protocol == Protocol::Graphql),
        ];
        for (key, map, fits) in uses {
            if !map.is_empty() && !fits {
                let message = format!("`{key}` is not for this protocol.");
                report.at(key, |report| {
                    report.name_error("wrong-protocol", message, None)
                });
            }
        }
        let mut compile = |key: &str, map: &BTreeMap<String, Written>| {
            if map.is_empty() {
                return None;
            }
            self.values(report, key, &tree_of(map), scope)
        };
        Placement {
            query: compile("query", &spec.query),
            body: compile("body", &spec.body),
            variables: compile("variables", &spec.variables),
            value: spec
                .value
                .as_ref()
                .and_then(|value| self.values(report, "value", &value.0, scope)),
        }
    }
}

/// The variables that an operation gives, and where each is written.
fn given(spec: &OperationSpec) -> Vec<(Vec<&str>, &str)> {
    let mut all: Vec<(Vec<&str>, &str)> = Vec::new();
    for name in spec.variables.iter().flat_map(BTreeMap::keys) {
        all.push((vec!["variables"], name));
    }
    for (filter, placed) in &spec.filters {
        for name in placed.variables.keys() {
            all.push((vec!["filters", filter, "variables"], name));
        }
    }
    for (order, directions) in &spec.sort {
        for (key, placed) in [("asc", &directions.asc), ("desc", &directions.desc)] {
            for name in placed.iter().flat_map(|placed| placed.variables.keys()) {
                all.push((vec!["sort", order, key, "variables"], name));
            }
        }
    }
    all
}

fn note(scope: Scope<'_>, names: &[NameUse]) {
    let mut used = scope.1.borrow_mut();
    used.extend(names.iter().map(|one| one.name.to_string()));
}

fn tree_of(map: &BTreeMap<String, Written>) -> Tree {
    let members = map
        .iter()
        .map(|(name, value)| (name.as_str().into(), value.0.clone()));
    Tree::Map(members.collect())
}

/// Looks at a leaf of a structure, whose path holds keys and places as texts.
fn within(
    report: &mut Report<'_>,
    structure: &Tree,
    path: &[Box<str>],
    look: impl FnOnce(&mut Report<'_>),
) {
    let Some((first, rest)) = path.split_first() else {
        look(report);
        return;
    };
    match (structure, first.parse::<usize>()) {
        (Tree::List(items), Ok(index)) => {
            let next = items.get(index).unwrap_or(&Tree::Null);
            report.at(index, |report| within(report, next, rest, look));
        }
        _ => {
            let next = structure.get(first).unwrap_or(&Tree::Null);
            report.at(&**first, |report| within(report, next, rest, look));
        }
    }
}

/// Tells keys that another protocol has.
fn check_keys(report: &mut Report<'_>, protocol: Protocol) {
    let keys: &[(&str, &[Protocol])] = &[
        ("request", &[Protocol::Rest]),
        ("form", &[Protocol::Rest]),
        ("body", &[Protocol::Rest, Protocol::Soap]),
        ("action", &[Protocol::Soap]),
        ("many", &[Protocol::Soap]),
        ("lenient", &[Protocol::Soap]),
        ("document", &[Protocol::Graphql]),
        ("variables", &[Protocol::Graphql]),
    ];
    for (key, protocols) in keys {
        if report.has(key) && !protocols.contains(&protocol) {
            let name = protocol.as_str().to_lowercase();
            let message = format!("`{key}` is not for `protocol: {name}`.");
            report.at(*key, |report| {
                report.name_error("wrong-protocol", message, None)
            });
        }
    }
}

/// The name of a document's one operation.
fn operation_name(report: &mut Report<'_>, document: &str) -> Option<Option<String>> {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in document.bytes() {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > BRACKETS_MAX {
        let message = format!("The document nests deeper than {BRACKETS_MAX} levels.");
        report.error("graphql-document", message);
        return None;
    }
    let parsed = match parse_query(document) {
        Ok(parsed) => parsed,
        Err(error) => {
            let at = error.positions().next();
            let offset = at.map_or(0, |at| offset_of(document, at.line, at.column));
            let text = error.to_string();
            let reason = text.lines().rfind(|line| line.contains("expected"));
            let reason = reason.map_or("", |line| line.trim().trim_start_matches("= "));
            let message = format!("The document can't be parsed: {reason}.");
            report.text_error("graphql-document", offset, message, None);
            return None;
        }
    };
    match &parsed.operations {
        DocumentOperations::Single(_) => Some(None),
        DocumentOperations::Multiple(operations) if operations.len() == 1 => {
            Some(operations.keys().next().map(ToString::to_string))
        }
        DocumentOperations::Multiple(_) => {
            report.error(
                "graphql-document",
                "The document has several operations, and one is needed.",
            );
            None
        }
    }
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let rest = text.get(before..).unwrap_or_default();
    let chars = rest.chars().take(column.saturating_sub(1));
    before + chars.map(char::len_utf8).sum::<usize>()
}
