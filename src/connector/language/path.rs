//! Paths into a reply and the native form of an expression: a path, piped through our own filters.

use std::borrow::Cow;

use super::Language;
use super::error::{EvaluateError, LanguageError};
use super::expression::Scope;
use super::filter::{self, Arguments, Filter};
use super::scan::{Kind, Token, is_lookup_table};
use crate::protocol::tree::Tree;

/// Levels of lists and maps in a literal argument.
const LITERAL_DEPTH_MAX: usize = 16;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// To the member of that name.
    Member(Box<str>),
    /// To the item at that place; from the end when negative.
    Index(i64),
    /// To all items, `[]`; the rest of the path applies to each.
    Each,
}

/// Where a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Item,
    Root,
    Parent,
}

/// A path into a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// The steps as written, the scope name included.
    steps: Vec<Step>,
}

/// A path piped through filters.
#[derive(Debug, Clone)]
pub(super) struct Native {
    path: Path,
    calls: Vec<Call>,
}

#[derive(Debug, Clone)]
struct Call {
    filter: &'static Filter,
    positional: Vec<Argument>,
    named: Vec<(Box<str>, Argument)>,
}

#[derive(Debug, Clone)]
enum Argument {
    Literal(Tree),
    Path(Path),
}

impl Path {
    /// The names the path goes through, places left out.
    pub fn names(&self) -> Vec<Box<str>> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Member(name) => Some(name.clone()),
                Step::Index(_) | Step::Each => None,
            })
            .collect()
    }

    /// The path as text, for messages.
    pub fn text(&self) -> String {
        self.names().join(".")
    }

    /// What is at the path, when anything is.
    pub fn find<'a>(&self, scope: &Scope<'a>) -> Option<Cow<'a, Tree>> {
        let Some((Step::Member(first), rest)) = self.steps.split_first() else {
            return None;
        };
        if let Some(value) = scope.named(first) {
            return walk(value, rest);
        }
        match (start(first), scope.root, scope.parent) {
            (Start::Root, Some(root), _) => walk(root, rest),
            (Start::Parent, _, Some(parent)) => walk(parent, rest),
            _ => walk(scope.item, &self.steps),
        }
    }
}

fn start(name: &str) -> Start {
    match name {
        "root" => Start::Root,
        "parent" => Start::Parent,
        _ => Start::Item,
    }
}

fn walk<'a>(from: &'a Tree, steps: &[Step]) -> Option<Cow<'a, Tree>> {
    let mut here = from;
    let mut rest = steps;
    while let Some((step, after)) = rest.split_first() {
        here = match step {
            Step::Member(name) => here.get(name)?,
            Step::Index(place) => here.at(place_in(here, *place)?)?,
            Step::Each => return each(here, after),
        };
        rest = after;
    }
    Some(Cow::Borrowed(here))
}

fn place_in(list: &Tree, place: i64) -> Option<usize> {
    match (usize::try_from(place), list) {
        (Ok(place), _) => Some(place),
        (Err(_), Tree::List(items)) => items
            .len()
            .checked_sub(usize::try_from(place.unsigned_abs()).ok()?),
        (Err(_), _) => None,
    }
}

/// The rest of a path for every item; nested lists of results become one, what is absent is left out. A single
/// value counts as a list of one, because XML does not tell them apart.
fn each<'a>(list: &'a Tree, after: &[Step]) -> Option<Cow<'a, Tree>> {
    let items = match list {
        Tree::Null => return None,
        Tree::List(_) if after.is_empty() => return Some(Cow::Borrowed(list)),
        Tree::List(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let flatten = after.contains(&Step::Each);
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        match walk(item, after).map(Cow::into_owned) {
            None | Some(Tree::Null) => {}
            Some(Tree::List(inner)) if flatten => found.extend(inner),
            Some(value) => found.push(value),
        }
    }
    Some(Cow::Owned(Tree::List(found)))
}

impl Native {
    /// Evaluates against a scope; `None` when the path leads nowhere and no filter makes something of it.
    pub fn evaluate<'a>(&self, scope: &Scope<'a>) -> Result<Option<Cow<'a, Tree>>, EvaluateError> {
        let mut value = self.path.find(scope);
        for call in &self.calls {
            let is_null = value.as_deref().is_none_or(|tree| *tree == Tree::Null);
            if is_null && !call.filter.takes_null {
                continue;
            }
            let input = value.unwrap_or(Cow::Owned(Tree::Null));
            value = Some(Cow::Owned(call.apply(&input, scope)?));
        }
        Ok(value)
    }

    /// The path it starts from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every path it reads, also in arguments.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let arguments = self.calls.iter().flat_map(|call| {
            call.positional
                .iter()
                .chain(call.named.iter().map(|(_, argument)| argument))
        });
        std::iter::once(&self.path).chain(arguments.filter_map(|argument| match argument {
            Argument::Path(path) => Some(path),
            Argument::Literal(_) => None,
        }))
    }
}

impl Call {
    /// Refuses constants at load that the filter would refuse for every record.
    fn check_literals(&self, place: usize) -> Result<(), LanguageError> {
        let positional = self.filter.parameters.iter().copied().zip(&self.positional);
        let named = self
            .named
            .iter()
            .map(|(name, argument)| (&**name, argument));
        for (name, argument) in positional.chain(named) {
            if let Argument::Literal(Tree::Text(text)) = argument {
                filter::check_constant(name, text, place)?;
            }
        }
        Ok(())
    }

    fn apply(&self, input: &Tree, scope: &Scope<'_>) -> Result<Tree, EvaluateError> {
        let positional = self
            .positional
            .iter()
            .map(|argument| argument.value(scope))
            .collect::<Vec<_>>();
        let named = self
            .named
            .iter()
            .map(|(name, argument)| (&**name, argument.value(scope)))
            .collect::<Vec<_>>();
        (self.filter.convert)(
            input,
            &Arguments {
                filter: self.filter.name,
                positional: &positional,
                named: &named,
            },
        )
    }
}

impl Argument {
    fn value<'a>(&'a self, scope: &Scope<'a>) -> Cow<'a, Tree> {
        match self {
            Self::Literal(tree) => Cow::Borrowed(tree),
            Self::Path(path) => path.find(scope).unwrap_or(Cow::Owned(Tree::Null)),
        }
    }
}

/// Reads tokens as a native expression; `None` when they are more than that.
pub(super) fn native(
    tokens: &[Token<'_>],
    language: &Language,
) -> Result<Option<Native>, LanguageError> {
    let mut reader = Reader {
        tokens,
        at: 0,
        depth: 0,
        language,
    };
    let Some(path) = reader.path() else {
        return Ok(None);
    };
    let mut calls = Vec::new();
    while reader.take("|") {
        let Some(call) = reader.call()? else {
            return Ok(None);
        };
        calls.push(call);
    }
    let is_whole = reader.at == tokens.len();
    Ok(is_whole.then_some(Native { path, calls }))
}

struct Reader<'r, 's> {
    tokens: &'r [Token<'s>],
    at: usize,
    /// Lists and maps that are open in a literal.
    depth: usize,
    language: &'r Language,
}

impl<'s> Reader<'_, 's> {
    fn peek(&self) -> Option<&Token<'s>> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(symbol));
        if found {
            self.at += 1;
        }
        found
    }

    fn name(&mut self) -> Option<&'s str> {
        let Kind::Name(name) = self.peek()?.kind else {
            return None;
        };
        self.at += 1;
        Some(name)
    }

    /// A member name, or `@` and the name of an attribute.
    fn member(&mut self) -> Option<Box<str>> {
        if self.take("@") {
            return Some(format!("@{}", self.name()?).into());
        }
        self.name().map(Into::into)
    }

    fn path(&mut self) -> Option<Path> {
        let first = self.member()?;
        if matches!(
            &*first,
            "not" | "true" | "false" | "none" | "True" | "False" | "None"
        ) {
            return None;
        }
        let mut steps = vec![Step::Member(first)];
        loop {
            if self.take(".") {
                steps.push(Step::Member(self.member()?));
            } else if self.take("[") {
                steps.push(self.subscript()?);
            } else {
                return Some(Path { steps });
            }
        }
    }

    fn subscript(&mut self) -> Option<Step> {
        if self.take("]") {
            return Some(Step::Each);
        }
        let is_negative = self.take("-");
        let step = match &self.peek()?.kind {
            Kind::Text(name) if !is_negative => Step::Member(name.as_str().into()),
            Kind::Number(digits) => {
                let place = digits.parse::<i64>().ok()?;
                Step::Index(if is_negative { -place } else { place })
            }
            _ => return None,
        };
        self.at += 1;
        self.take("]").then_some(step)
    }

    fn call(&mut self) -> Result<Option<Call>, LanguageError> {
        let place = self.peek().map_or(0, |token| token.start);
        let Some(filter) = self.name().and_then(filter::own) else {
            return Ok(None);
        };
        let mut call = Call {
            filter,
            positional: Vec::new(),
            named: Vec::new(),
        };
        if self.take("(") && !self.arguments(&mut call) {
            return Ok(None);
        }
        filter.check_count(call.positional.len(), call.named.len(), place)?;
        for (name, _) in &call.named {
            filter.check_named(name, place)?;
        }
        call.check_literals(place)?;
        Ok(Some(call))
    }

    fn arguments(&mut self, call: &mut Call) -> bool {
        while !self.take(")") {
            let keyword = self.keyword();
            let Some(argument) = self.argument() else {
                return false;
            };
            match keyword {
                Some(name) => call.named.push((name.into(), argument)),
                None => call.positional.push(argument),
            }
            if !self.take(",") && !self.peek().is_some_and(|token| token.is(")")) {
                return false;
            }
        }
        true
    }

    fn keyword(&mut self) -> Option<&'s str> {
        let is_keyword = self
            .tokens
            .get(self.at + 1)
            .is_some_and(|token| token.is("="));
        if !is_keyword {
            return None;
        }
        let name = self.name()?;
        self.at += 1;
        Some(name)
    }

    fn argument(&mut self) -> Option<Argument> {
        if let Kind::Name(name) = self.peek()?.kind
            && is_lookup_table(self.tokens, self.at)
        {
            self.at += 1;
            return self.language.table(name).cloned().map(Argument::Literal);
        }
        let before = self.at;
        if let Some(literal) = self.literal() {
            return Some(Argument::Literal(literal));
        }
        self.at = before;
        self.path().map(Argument::Path)
    }

    fn literal(&mut self) -> Option<Tree> {
        if self.depth > LITERAL_DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let literal = if self.take("{") {
            self.map_literal()
        } else if self.take("[") {
            self.list_literal()
        } else {
            self.scalar_literal()
        };
        self.depth -= 1;
        literal
    }

    fn scalar_literal(&mut self) -> Option<Tree> {
        let is_negative = self.take("-");
        let sign = if is_negative { "-" } else { "" };
        let literal = match &self.peek()?.kind {
            Kind::Number(digits) => Tree::Number(format!("{sign}{digits}").into()),
            _ if is_negative => return None,
            Kind::Text(text) => Tree::Text(text.as_str().into()),
            Kind::Name("true" | "True") => Tree::Bool(true),
            Kind::Name("false" | "False") => Tree::Bool(false),
            Kind::Name("none" | "None") => Tree::Null,
            Kind::Name(_) | Kind::Symbol(_) => return None,
        };
        self.at += 1;
        Some(literal)
    }

    fn map_literal(&mut self) -> Option<Tree> {
        let mut members = Vec::new();
        while !self.take("}") {
            let Tree::Text(key) = self.literal()? else {
                return None;
            };
            if !self.take(":") {
                return None;
            }
            members.push((key, self.literal()?));
            if !self.take(",") && !self.peek()?.is("}") {
                return None;
            }
        }
        Some(Tree::Map(members))
    }

    fn list_literal(&mut self) -> Option<Tree> {
        let mut items = Vec::new();
        while !self.take("]") {
            items.push(self.literal()?);
            if !self.take(",") && !self.peek()?.is("]") {
                return None;
            }
        }
        Some(Tree::List(items))
    }
}
