//! Text templates, and what all templates are rendered from.

use minijinja::Environment;
use minijinja::value::Value;

use super::Language;
use super::error::{EvaluateError, Found, LanguageError};
use super::expression::Scope;
use super::filter;
use super::scan::{self, NameUse, Piece, PieceKind, Usage};
use super::value::{Decimals, to_value};
use crate::protocol::tree::Tree;

/// Longest source text of a template, in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;

const NAME: &str = "template";

/// The named values that templates are rendered from; built once per call and used for all of its templates.
#[derive(Debug, Clone)]
pub struct Context {
    tree: Tree,
    value: Value,
}

impl Context {
    /// Takes the named values (`keys`, `key`, `page`, `filter`, …).
    pub fn new(values: Vec<(Box<str>, Tree)>) -> Self {
        let tree = Tree::Map(values);
        Self {
            value: to_value(&tree, Decimals::Text),
            tree,
        }
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.tree.get(name)
    }

    /// The same values for expressions.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope::of(&self.tree)
    }

    /// The first of these ways that leads to nothing or to something without a text of its own.
    fn culprit(
        &self,
        reads: &[Vec<Box<str>>],
        is_it: impl Fn(Option<&Tree>) -> bool,
    ) -> Option<(Box<str>, Option<&Tree>)> {
        reads.iter().find_map(|read| {
            let found = read
                .iter()
                .try_fold(&self.tree, |tree, name| tree.get(name));
            is_it(found).then(|| (read.join(".").into(), found))
        })
    }
}

/// A literal text or a Jinja template whose values are written as they are.
#[derive(Debug, Clone)]
pub struct TextTemplate {
    code: Code,
    names: Vec<NameUse>,
    reads: Vec<Vec<Box<str>>>,
}

#[derive(Debug, Clone)]
enum Code {
    Literal(Box<str>),
    Jinja {
        environment: Box<Environment<'static>>,
        fuel: u64,
    },
}

impl TextTemplate {
    /// Compiles the text; unknown filters and statements other than `for`, `if` and `set` are errors.
    pub fn compile(source: &str, language: &Language) -> Result<Self, LanguageError> {
        Self::compile_in(source, language, language.templates.clone())
    }

    /// Compiles the text for an environment with another formatter.
    pub(super) fn compile_in(
        source: &str,
        language: &Language,
        mut environment: Environment<'static>,
    ) -> Result<Self, LanguageError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(LanguageError::new(
                format!("A template is at most {SOURCE_BYTES_MAX} bytes long."),
                SOURCE_BYTES_MAX,
            ));
        }
        let pieces = scan::pieces(source)?;
        if pieces.iter().all(|piece| piece.kind == PieceKind::Literal) {
            return Ok(Self {
                code: Code::Literal(source.into()),
                names: Vec::new(),
                reads: Vec::new(),
            });
        }
        let mut usage = usage(&pieces, language)?;
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| filter::syntax_error(&error, 0))?;
        for table in &usage.tables {
            if let Some(tree) = language.table(table) {
                environment.add_global(table.to_string(), to_value(tree, Decimals::Text));
            }
        }
        let template = environment
            .get_template(NAME)
            .map_err(|error| filter::syntax_error(&error, 0))?;
        usage.retain(&template.undeclared_variables(false));
        let mut reads = template
            .undeclared_variables(true)
            .iter()
            .map(|path| path.split('.').map(Into::into).collect::<Vec<Box<str>>>())
            .collect::<Vec<_>>();
        reads.sort();
        Ok(Self {
            code: Code::Jinja {
                environment: Box::new(environment),
                fuel: language.limits.fuel,
            },
            names: usage.names,
            reads,
        })
    }

    /// The top-level names it reads, each with its first place.
    pub fn names(&self) -> &[NameUse] {
        &self.names
    }

    /// The text, when it has no values.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.code {
            Code::Literal(text) => Some(text),
            Code::Jinja { .. } => None,
        }
    }

    /// Renders it; an undefined name, null, a list or a map is an error.
    pub fn render(&self, context: &Context) -> Result<String, EvaluateError> {
        let (environment, fuel) = match &self.code {
            Code::Literal(text) => return Ok(text.to_string()),
            Code::Jinja { environment, fuel } => (environment, *fuel),
        };
        environment
            .get_template(NAME)
            .and_then(|template| template.render(context.value.clone()))
            .map_err(|error| self.explain(filter::evaluate_error(&error, fuel), context))
    }

    /// Puts the name into an error that minijinja leaves without one.
    fn explain(&self, error: EvaluateError, context: &Context) -> EvaluateError {
        match error {
            EvaluateError::Undefined { .. } => {
                match context.culprit(&self.reads, |found| found.is_none()) {
                    Some((name, _)) => EvaluateError::Undefined { name },
                    None => error,
                }
            }
            EvaluateError::Unprintable { place, found, name } => {
                let is_it =
                    |value: Option<&Tree>| value.is_some_and(|value| Found::of(value) == found);
                let name = context
                    .culprit(&self.reads, is_it)
                    .map_or(name, |(name, _)| name);
                EvaluateError::Unprintable { name, found, place }
            }
            other => other,
        }
    }
}

/// A header's value: a text template whose result stays within its line.
#[derive(Debug, Clone)]
pub struct HeaderTemplate {
    text: TextTemplate,
}

impl HeaderTemplate {
    /// Compiles the text.
    pub fn compile(source: &str, language: &Language) -> Result<Self, LanguageError> {
        let text = TextTemplate::compile(source, language)?;
        if let Some(at) = text
            .as_literal()
            .and_then(|literal| literal.find(is_control))
        {
            return Err(LanguageError::new(
                "A header value can't hold control characters.",
                at,
            ));
        }
        Ok(Self { text })
    }

    /// The top-level names it reads, each with its first place.
    pub fn names(&self) -> &[NameUse] {
        self.text.names()
    }

    /// Renders it; a control character in the result is an error.
    pub fn render(&self, context: &Context) -> Result<String, EvaluateError> {
        let value = self.text.render(context)?;
        if value.contains(is_control) {
            return Err(EvaluateError::Refused {
                place: "header value".into(),
                reason: "has a control character",
            });
        }
        Ok(value)
    }
}

fn is_control(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

/// What the pieces use; refuses statements that could change how values are written.
fn usage(pieces: &[Piece<'_>], language: &Language) -> Result<Usage, LanguageError> {
    let mut usage = Usage::default();
    for piece in pieces {
        let place = |error: LanguageError| error.shifted(piece.inner_start);
        let tokens = match piece.kind {
            PieceKind::Literal | PieceKind::Comment => continue,
            PieceKind::Print => scan::tokens(piece.inner).map_err(place)?,
            PieceKind::Statement => {
                let tokens = scan::tokens(piece.inner).map_err(place)?;
                statement(&tokens).map_err(place)?;
                tokens
            }
        };
        let code = match piece.kind {
            PieceKind::Statement => tokens.get(1..).unwrap_or_default(),
            _ => tokens.as_slice(),
        };
        usage.add(code, piece.inner_start, language)?;
    }
    Ok(usage)
}

/// Refuses statements that are not ours.
fn statement(tokens: &[scan::Token<'_>]) -> Result<(), LanguageError> {
    let keyword = match tokens.first().map(|token| &token.kind) {
        Some(scan::Kind::Name(name)) => *name,
        _ => "",
    };
    match keyword {
        "if" | "elif" | "else" | "endif" | "for" | "endfor" => Ok(()),
        "set" if tokens.get(2).is_some_and(|token| token.is("=")) => Ok(()),
        _ => Err(LanguageError::new(
            format!("Templates have no statement `{keyword}`."),
            tokens.first().map_or(0, |token| token.start),
        )
        .with_hint(Some("there are `for`, `if` and `set name = …`".to_owned()))),
    }
}
