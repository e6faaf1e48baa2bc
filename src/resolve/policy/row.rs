//! Row rules: expressions of an operator that say which records a caller sees.

use serde_json::Value as Json;

use crate::connector::language::Language;
use crate::connector::language::expression::{Expression, Scope};
use crate::protocol::tree::Tree;
use crate::record::value::Value;
use crate::resolve::Run;
use crate::resolve::item::Entity;
use crate::schema::{Catalog, Fill, ObjectDef};

/// A compiled rule.
#[derive(Debug)]
pub struct RowRule {
    expression: Expression,
    /// The fields of the record that it reads.
    fields: Vec<Box<str>>,
    /// The links of the record that it follows, with the fields it reads there.
    links: Vec<(Box<str>, Vec<Box<str>>)>,
    /// The ways into the caller that it reads.
    claims: Vec<Vec<Box<str>>>,
}

/// Pseudo fields of a record, beside those of the graph.
const CUSTOM: &str = "customFields";
const SOURCE: &str = "source";

impl RowRule {
    /// Compiles a rule for an entity, or says what is wrong with it.
    pub fn compile(
        catalog: &Catalog,
        entity: &ObjectDef,
        text: &str,
        language: &Language,
    ) -> Result<Self, String> {
        let expression = Expression::compile(text, language).map_err(|error| {
            let hint = error
                .hint
                .map_or_else(String::new, |hint| format!(" ({hint})"));
            format!("{}{hint}", error.message)
        })?;
        let (mut fields, mut claims) = (Vec::new(), Vec::new());
        let mut links: Vec<(Box<str>, Vec<Box<str>>)> = Vec::new();
        for read in expression.reads() {
            match read.as_slice() {
                [first, name, rest @ ..] if &**first == "record" => match link(entity, name) {
                    Some(target) => {
                        let (_, target) = catalog.object(target).ok_or("the link leads nowhere")?;
                        let [below, ..] = rest else {
                            return Err(format!(
                                "`record.{name}` leads to another entity; name a field of it."
                            ));
                        };
                        check_field(target, below)?;
                        match links.iter_mut().find(|(known, _)| known == name) {
                            Some((_, known)) => known.push(below.clone()),
                            None => links.push((name.clone(), vec![below.clone()])),
                        }
                    }
                    None => {
                        check_field(entity, name)?;
                        fields.push(name.clone());
                    }
                },
                [first, name, rest @ ..] if &**first == "caller" => {
                    claims.push(std::iter::once(name).chain(rest).cloned().collect());
                }
                _ => {
                    let message =
                        "A rule reads `record.…` and `caller.…` by name, and nothing else.";
                    return Err(message.to_owned());
                }
            }
        }
        fields.sort();
        fields.dedup();
        Ok(Self {
            expression,
            fields,
            links,
            claims,
        })
    }

    /// The names of the caller's claims that it reads.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims
            .iter()
            .filter_map(|way| way.first().map(|name| &**name))
    }

    /// The links that must be followed before it can be evaluated.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|(name, _)| &**name)
    }

    /// Whether the rule lets a record through. What can't be decided is not let through: a claim that the caller does not
    /// have makes no comparison true, not even with a value that the record does not have.
    pub fn lets_through(&self, run: &Run, caller: &Tree, entity: &Entity, linked: &Linked) -> bool {
        if !self.claims.iter().all(|way| is_there(caller, way)) {
            return false;
        }
        let mut members: Vec<(Box<str>, Tree)> = self
            .fields
            .iter()
            .map(|name| (name.clone(), read(run, entity, name)))
            .collect();
        for (name, fields) in &self.links {
            let target = linked.iter().find(|(link, _)| link == name);
            let tree =
                target
                    .and_then(|(_, target)| target.as_deref())
                    .map_or(Tree::Null, |target| {
                        let members = fields
                            .iter()
                            .map(|name| (name.clone(), read(run, target, name)));
                        Tree::Map(members.collect())
                    });
            members.push((name.clone(), tree));
        }
        let record = Tree::Map(members);
        let scope = Scope {
            item: &Tree::Null,
            root: None,
            parent: None,
            extra: &[("record", &record), ("caller", caller)],
        };
        match self.expression.evaluate(&scope) {
            Ok(outcome) => outcome.is_true(),
            Err(error) => {
                tracing::warn!(error = %error, "a row rule could not be evaluated, so that the record is not shown");
                false
            }
        }
    }
}

/// The entities that the links of one record lead to.
pub type Linked = Vec<(Box<str>, Option<std::sync::Arc<Entity>>)>;

fn link<'d>(entity: &'d ObjectDef, name: &str) -> Option<&'d str> {
    let field = entity.field(name)?;
    matches!(field.fill, Fill::Link(_)).then_some(&*field.ty.name)
}

fn check_field(entity: &ObjectDef, name: &str) -> Result<(), String> {
    let is_known = matches!(name, CUSTOM | SOURCE)
        || entity.field(name).is_some_and(|field| {
            matches!(field.fill, Fill::Mapped | Fill::Derived | Fill::Embedded)
        });
    if is_known {
        return Ok(());
    }
    Err(format!(
        "`record.{name}` is no value of a record; a rule reads mapped fields, `customFields`, `source`, and one step along a link."
    ))
}

fn is_there(tree: &Tree, way: &[Box<str>]) -> bool {
    let mut at = tree;
    for name in way {
        match at.get(name) {
            Some(next) => at = next,
            None => return false,
        }
    }
    !at.is_null()
}

fn read(run: &Run, entity: &Entity, name: &str) -> Tree {
    match name {
        SOURCE => Tree::Text((*entity.anchor().source).into()),
        CUSTOM => {
            let mut members: Vec<(Box<str>, Tree)> = Vec::new();
            for reading in entity.readings() {
                for custom in &reading.record.custom {
                    // The most authoritative source says what counts.
                    if !members.iter().any(|(key, _)| **key == *custom.key) {
                        members.push(((*custom.key).into(), tree(run.catalog(), &custom.value)));
                    }
                }
            }
            Tree::Map(members)
        }
        name => run
            .catalog()
            .read(&entity.data, name)
            .map_or(Tree::Null, |value| tree(run.catalog(), value)),
    }
}

fn tree(catalog: &Catalog, value: &Value) -> Tree {
    match value {
        Value::Null => Tree::Null,
        Value::Bool(flag) => Tree::Bool(*flag),
        Value::Int(number) => Tree::Number(number.to_string().into()),
        Value::Float(number) => Tree::Number(number.to_string().into()),
        Value::Text(text) => Tree::Text((**text).into()),
        Value::List(items) => Tree::List(items.iter().map(|item| tree(catalog, item)).collect()),
        Value::Object(object) => {
            let fields = catalog
                .type_of(object)
                .map(|(_, def)| def.fields.as_slice());
            Tree::Map(
                fields
                    .unwrap_or_default()
                    .iter()
                    .map(|field| ((*field.name).into(), tree(catalog, object.slot(field.slot))))
                    .collect(),
            )
        }
        Value::Json(text) => serde_json::from_str(text).map_or(Tree::Null, |json| from_json(&json)),
    }
}

/// JSON as a tree.
pub fn from_json(json: &Json) -> Tree {
    match json {
        Json::Null => Tree::Null,
        Json::Bool(flag) => Tree::Bool(*flag),
        Json::Number(number) => Tree::Number(number.to_string().into()),
        Json::String(text) => Tree::Text(text.as_str().into()),
        Json::Array(items) => Tree::List(items.iter().map(from_json).collect()),
        Json::Object(members) => Tree::Map(
            members
                .iter()
                .map(|(name, value)| (name.as_str().into(), from_json(value)))
                .collect(),
        ),
    }
}
