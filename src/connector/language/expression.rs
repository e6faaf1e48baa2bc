//! Expressions over a decoded reply: mappings, predicates and rules.

use std::borrow::Cow;

use minijinja::Environment;
use minijinja::value::Value;

use super::error::{EvaluateError, LanguageError};
use super::path::{self, Native};
use super::scan::{self, NameUse, Usage};
use super::value::{Decimals, from_value, to_value};
use super::{Language, filter};
use crate::protocol::tree::Tree;

/// Longest source text of an expression, in bytes.
pub const SOURCE_BYTES_MAX: usize = 16 * 1024;

const RESULT: &str = "result";

/// What an expression is evaluated over.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The item being mapped; its members are the top-level names.
    pub item: &'a Tree,
    /// The whole reply, reached as `root`.
    pub root: Option<&'a Tree>,
    /// What the item is nested in, reached as `parent`.
    pub parent: Option<&'a Tree>,
    /// Other names (`body`, `status`, `headers`, `value`, …); they go before the item's members.
    pub extra: &'a [(&'a str, &'a Tree)],
}

impl<'a> Scope<'a> {
    /// A scope of an item alone.
    pub fn of(item: &'a Tree) -> Self {
        Self {
            item,
            root: None,
            parent: None,
            extra: &[],
        }
    }

    /// The extra value of that name.
    pub(super) fn named(&self, name: &str) -> Option<&'a Tree> {
        self.extra
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    fn top(&self, name: &str) -> Option<&'a Tree> {
        match (self.named(name), name) {
            (Some(value), _) => Some(value),
            (None, "root") if self.root.is_some() => self.root,
            (None, "parent") if self.parent.is_some() => self.parent,
            (None, _) => self.item.get(name),
        }
    }
}

/// What an expression gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// The value; null when the reply does not have it.
    pub value: Cow<'a, Tree>,
    /// Whether every number in it is as the vendor wrote it or an integer; false when one passed through a float,
    /// so that a target that must be exact (money, ids) refuses it.
    pub exact: bool,
}

impl Outcome<'_> {
    /// Whether the value counts as true: not null, false, zero or empty.
    pub fn is_true(&self) -> bool {
        match &*self.value {
            Tree::Null => false,
            Tree::Bool(truth) => *truth,
            Tree::Number(text) => text.parse::<f64>().is_ok_and(|number| number != 0.0),
            Tree::Text(text) => !text.is_empty(),
            Tree::List(items) => !items.is_empty(),
            Tree::Map(members) => !members.is_empty(),
        }
    }
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    code: Code,
    reads: Vec<Vec<Box<str>>>,
    names: Vec<NameUse>,
}

#[derive(Debug, Clone)]
enum Code {
    Native(Native),
    Jinja(Box<Jinja>),
}

#[derive(Debug, Clone)]
struct Jinja {
    environment: Environment<'static>,
    fuel: u64,
    tables: Vec<(Box<str>, Value)>,
}

impl Expression {
    /// Compiles the text; unknown filters, tests, functions and tables are errors.
    pub fn compile(source: &str, language: &Language) -> Result<Self, LanguageError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(LanguageError::new(
                format!("An expression is at most {SOURCE_BYTES_MAX} bytes long."),
                SOURCE_BYTES_MAX,
            ));
        }
        let tokens = scan::tokens(source)?;
        let mut usage = Usage::default();
        usage.add(&tokens, 0, language)?;
        if let Some(native) = path::native(&tokens, language)? {
            return Ok(Self {
                reads: native.paths().map(path::Path::names).collect(),
                names: usage.names,
                code: Code::Native(native),
            });
        }
        Jinja::compile(source, &tokens, usage, language)
    }

    /// Whether it runs without minijinja.
    pub fn is_native(&self) -> bool {
        matches!(self.code, Code::Native(_))
    }

    /// The members it reads, each as the names on the way; places in lists are left out, and a way may end early
    /// where the rest is computed.
    pub fn reads(&self) -> &[Vec<Box<str>>] {
        &self.reads
    }

    /// The top-level names it reads, each with its first place.
    pub fn names(&self) -> &[NameUse] {
        &self.names
    }

    /// Evaluates it. What the reply does not have is null; a value that a filter cannot convert is an error.
    pub fn evaluate<'a>(&self, scope: &Scope<'a>) -> Result<Outcome<'a>, EvaluateError> {
        let (value, exact) = self.outcome(scope)?;
        Ok(Outcome {
            value: value.unwrap_or(Cow::Owned(Tree::Null)),
            exact,
        })
    }

    /// Evaluates it for a template's leaf: what is not there is `None`.
    pub(super) fn find<'a>(
        &self,
        scope: &Scope<'a>,
    ) -> Result<Option<Cow<'a, Tree>>, EvaluateError> {
        match self.outcome(scope)? {
            (value, true) => Ok(value),
            (_, false) => Err(EvaluateError::Failed {
                reason: "the number went through a float and may have lost digits".into(),
            }),
        }
    }

    /// The expression's main path as text, for messages.
    pub(super) fn subject(&self) -> Box<str> {
        match &self.code {
            Code::Native(native) => native.path().text().into(),
            Code::Jinja(_) => self
                .reads
                .first()
                .map_or_else(|| "the expression".into(), |read| read.join(".").into()),
        }
    }

    fn outcome<'a>(
        &self,
        scope: &Scope<'a>,
    ) -> Result<(Option<Cow<'a, Tree>>, bool), EvaluateError> {
        match &self.code {
            Code::Native(native) => Ok((native.evaluate(scope)?, true)),
            Code::Jinja(jinja) => jinja.evaluate(scope, &self.reads),
        }
    }
}

impl Jinja {
    fn compile(
        source: &str,
        tokens: &[scan::Token<'_>],
        usage: Usage,
        language: &Language,
    ) -> Result<Expression, LanguageError> {
        let mut environment = language.expressions.clone();
        let fault = |error: &minijinja::Error| {
            let hint = native_only(tokens)
                .or_else(|| Some("see the Jinja syntax of expressions".to_owned()));
            filter::syntax_error(error, 0).with_hint(hint)
        };
        let parsed = environment
            .compile_expression(source)
            .map_err(|error| fault(&error))?;
        let mut reads = parsed
            .undeclared_variables(true)
            .iter()
            .map(|path| path.split('.').map(Into::into).collect::<Vec<Box<str>>>())
            .filter(|path| {
                !path
                    .first()
                    .is_some_and(|first| usage.tables.contains(first))
            })
            .collect::<Vec<_>>();
        // minijinja does not look into what is sliced, so the names that the text itself holds are the measure.
        for one in &usage.names {
            let is_known = |read: &Vec<Box<str>>| read.first() == Some(&one.name);
            if !reads.iter().any(is_known) {
                reads.push(vec![one.name.clone()]);
            }
        }
        reads.sort();
        drop(parsed);
        let template = format!("{{% set {RESULT} = ({source}\n) %}}");
        environment
            .add_template_owned(RESULT, template)
            .map_err(|error| fault(&error))?;
        let tables = usage
            .tables
            .iter()
            .filter_map(|name| {
                let table = language.table(name)?;
                Some((name.clone(), to_value(table, Decimals::Text)))
            })
            .collect();
        Ok(Expression {
            code: Code::Jinja(Box::new(Self {
                environment,
                fuel: language.limits.fuel,
                tables,
            })),
            reads,
            names: usage.names,
        })
    }

    fn evaluate<'a>(
        &self,
        scope: &Scope<'a>,
        reads: &[Vec<Box<str>>],
    ) -> Result<(Option<Cow<'a, Tree>>, bool), EvaluateError> {
        let failed = |error: minijinja::Error| filter::evaluate_error(&error, self.fuel);
        let template = self.environment.get_template(RESULT).map_err(failed)?;
        let context = self.context(scope, reads);
        let captured = template.render_captured(context).map_err(failed)?;
        let Some(value) = captured.state().lookup(RESULT) else {
            return Ok((None, true));
        };
        if value.is_undefined() {
            return Ok((None, true));
        }
        let (tree, exact) = from_value(&value)?;
        Ok((Some(Cow::Owned(tree)), exact))
    }

    /// Only what the expression reads is handed over, because each value is copied.
    fn context(&self, scope: &Scope<'_>, reads: &[Vec<Box<str>>]) -> Value {
        let mut names: Vec<(&str, Value)> = Vec::new();
        for read in reads {
            let Some((first, _)) = read.split_first() else {
                continue;
            };
            if names.iter().any(|(name, _)| *name == &**first) {
                continue;
            }
            if let Some(tree) = scope.top(first) {
                names.push((first, part(tree, first, reads)));
            }
        }
        for (name, table) in &self.tables {
            names.push((name, table.clone()));
        }
        Value::from_pairs(names)
    }
}

/// The value of a top-level name, of a map only those members that are read by name.
fn part(tree: &Tree, first: &str, reads: &[Vec<Box<str>>]) -> Value {
    let Tree::Map(members) = tree else {
        return to_value(tree, Decimals::Float);
    };
    let mut wanted = Vec::new();
    for read in reads
        .iter()
        .filter(|read| read.first().is_some_and(|name| &**name == first))
    {
        let Some(member) = read.get(1) else {
            return to_value(tree, Decimals::Float);
        };
        wanted.push(member);
    }
    Value::from_pairs(
        members
            .iter()
            .filter(|(name, _)| wanted.contains(&name))
            .map(|(name, member)| (&**name, to_value(member, Decimals::Float))),
    )
}

fn native_only(tokens: &[scan::Token<'_>]) -> Option<String> {
    if tokens.iter().any(|token| token.is("@")) {
        return Some("beside operators an attribute is written `name['@attribute']`".to_owned());
    }
    let is_flat = tokens
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.is("[") && b.is("]")));
    is_flat.then(|| {
        "`[]` works in plain paths only; here write `list | map(attribute='name')`".to_owned()
    })
}
