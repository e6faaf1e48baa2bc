//! Request lines: method, path and query, cut into their structure before values go in.

use http::Method;

use super::Language;
use super::error::{EvaluateError, Found, LanguageError};
use super::expression::Expression;
use super::scan::{self, NameUse, Piece, PieceKind};
use super::template::{Context, TextTemplate};
use crate::protocol::tree::Tree;

/// A rendered request line; nothing in it is encoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedRequest {
    /// The method.
    pub method: Method,
    /// The path, segment by segment.
    pub segments: Vec<String>,
    /// Whether the path ends in `/`.
    pub trailing_slash: bool,
    /// The query, pair by pair.
    pub query: Vec<(String, String)>,
}

/// A request line such as `GET /users/{{ key }}?page[size]={{ page.size }}`.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    method: Method,
    segments: Vec<TextTemplate>,
    trailing_slash: bool,
    query: Vec<Pair>,
    names: Vec<NameUse>,
}

#[derive(Debug, Clone)]
struct Pair {
    name: TextTemplate,
    value: PairValue,
}

#[derive(Debug, Clone)]
enum PairValue {
    Text(TextTemplate),
    /// `name?={{ expression }}`: left out when there is nothing.
    Optional(Expression),
}

impl RequestTemplate {
    /// Compiles the line. It is cut at the literal `/`, `?`, `&` and `=` outside `{{ }}` and `{% %}`, and each part is
    /// a template of its own; literal text is written unencoded, because it is encoded when it is sent.
    pub fn compile(source: &str, language: &Language) -> Result<Self, LanguageError> {
        let source = source.trim_end();
        let (method, path_start) = method(source)?;
        let pieces = scan::pieces(source.get(path_start..).unwrap_or_default())
            .map_err(|error| error.shifted(path_start))?;
        let cut = cut(&pieces, path_start)?;
        let mut template = Self {
            method,
            segments: Vec::new(),
            trailing_slash: false,
            query: Vec::new(),
            names: Vec::new(),
        };
        template.add_segments(source, &cut, language)?;
        for part in &cut.query {
            template.add_pair(source, part, language)?;
        }
        Ok(template)
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The top-level names it reads, each with its first place.
    pub fn names(&self) -> &[NameUse] {
        &self.names
    }

    /// Renders it; a value that would make a segment empty, `.` or `..` is an error.
    pub fn render(&self, context: &Context) -> Result<RenderedRequest, EvaluateError> {
        let mut segments = Vec::with_capacity(self.segments.len());
        for (index, segment) in self.segments.iter().enumerate() {
            let text = segment.render(context)?;
            if matches!(text.as_str(), "" | "." | "..") {
                return Err(EvaluateError::Refused {
                    place: format!("path segment {}", index + 1).into(),
                    reason: "is empty or made of dots only",
                });
            }
            segments.push(text);
        }
        let mut query = Vec::with_capacity(self.query.len());
        for pair in &self.query {
            if let Some(value) = pair.value.render(context)? {
                query.push((pair.name.render(context)?, value));
            }
        }
        Ok(RenderedRequest {
            method: self.method.clone(),
            segments,
            trailing_slash: self.trailing_slash,
            query,
        })
    }

    fn add_segments(
        &mut self,
        source: &str,
        cut: &Cut,
        language: &Language,
    ) -> Result<(), LanguageError> {
        let mut parts = cut.segments.as_slice();
        if let Some((last, before)) = parts.split_last()
            && last.is_empty()
        {
            self.trailing_slash = !before.is_empty();
            parts = before;
        }
        for part in parts {
            let text = part.of(source);
            if matches!(text, "" | "." | "..") {
                return Err(LanguageError::new(
                    "A path segment can't be empty or made of dots only.",
                    part.start,
                ));
            }
            let segment = self.text(part, text, language)?;
            self.segments.push(segment);
        }
        Ok(())
    }

    fn add_pair(
        &mut self,
        source: &str,
        pair: &PairPart,
        language: &Language,
    ) -> Result<(), LanguageError> {
        let name = pair.name.of(source);
        let value = pair.value.of(source);
        if name.is_empty() {
            return Err(LanguageError::new(
                "A query parameter needs a name.",
                pair.name.start,
            ));
        }
        let (name, value) = match name.strip_suffix('?') {
            Some(name) => (name, self.optional(pair, value, language)?),
            None => (
                name,
                PairValue::Text(self.text(&pair.value, value, language)?),
            ),
        };
        let name = self.text(&pair.name, name, language)?;
        self.query.push(Pair { name, value });
        Ok(())
    }

    fn optional(
        &mut self,
        pair: &PairPart,
        value: &str,
        language: &Language,
    ) -> Result<PairValue, LanguageError> {
        let pieces = scan::pieces(value).map_err(|error| error.shifted(pair.value.start))?;
        let [
            Piece {
                kind: PieceKind::Print,
                inner,
                inner_start,
                ..
            },
        ] = pieces.as_slice()
        else {
            return Err(LanguageError::new(
                "The value of an optional parameter must be one `{{ expression }}`.",
                pair.value.start,
            ));
        };
        let base = pair.value.start + inner_start;
        let expression =
            Expression::compile(inner, language).map_err(|error| error.shifted(base))?;
        self.add_names(expression.names(), base);
        Ok(PairValue::Optional(expression))
    }

    fn text(
        &mut self,
        part: &Part,
        text: &str,
        language: &Language,
    ) -> Result<TextTemplate, LanguageError> {
        let template =
            TextTemplate::compile(text, language).map_err(|error| error.shifted(part.start))?;
        self.add_names(template.names(), part.start);
        Ok(template)
    }

    fn add_names(&mut self, names: &[NameUse], base: usize) {
        for read in names {
            let read = read.shifted(base);
            match self.names.iter_mut().find(|known| known.name == read.name) {
                Some(known) => known.absorb(read),
                None => self.names.push(read),
            }
        }
    }
}

impl PairValue {
    fn render(&self, context: &Context) -> Result<Option<String>, EvaluateError> {
        let expression = match self {
            Self::Text(template) => return template.render(context).map(Some),
            Self::Optional(expression) => expression,
        };
        match expression.find(&context.scope())?.as_deref() {
            None | Some(Tree::Null) => Ok(None),
            Some(Tree::Text(text) | Tree::Number(text)) => Ok(Some(text.to_string())),
            Some(Tree::Bool(truth)) => Ok(Some(truth.to_string())),
            Some(other) => Err(EvaluateError::Unprintable {
                name: expression.subject(),
                found: Found::of(other),
                place: "a query",
            }),
        }
    }
}

/// A stretch of the source.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: usize,
    end: usize,
}

impl Part {
    fn of<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.start..self.end).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

#[derive(Debug)]
struct PairPart {
    name: Part,
    value: Part,
}

#[derive(Debug, Default)]
struct Cut {
    segments: Vec<Part>,
    query: Vec<PairPart>,
}

fn method(source: &str) -> Result<(Method, usize), LanguageError> {
    let hint = || Some("write it as `GET /path?name={{ value }}`".to_owned());
    let Some((word, rest)) = source.split_once(' ') else {
        return Err(LanguageError::new("A request is a method and a path.", 0).with_hint(hint()));
    };
    let method = match word {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        _ => {
            return Err(
                LanguageError::new(format!("`{word}` is not a method."), 0).with_hint(hint())
            );
        }
    };
    let spaces = rest.len() - rest.trim_start_matches(' ').len();
    let start = word.len() + 1 + spaces;
    if !rest.trim_start_matches(' ').starts_with('/') {
        return Err(LanguageError::new("A path starts with `/`.", start).with_hint(hint()));
    }
    Ok((method, start))
}

/// Cuts at separators in literal text only. The first segment starts after the leading slash.
fn cut(pieces: &[Piece<'_>], base: usize) -> Result<Cut, LanguageError> {
    let mut cut = Cut::default();
    let mut open = Open {
        start: base + 1,
        equals: None,
        in_query: false,
    };
    let mut end = base;
    for piece in pieces {
        end = base + piece.end;
        if piece.kind != PieceKind::Literal {
            continue;
        }
        for (at, c) in piece.inner.char_indices() {
            let at = base + piece.start + at;
            if at == base {
                continue;
            }
            check_literal(c, at, open.in_query)?;
            match c {
                '/' if !open.in_query => open.close(&mut cut, at),
                '?' if !open.in_query => {
                    open.close(&mut cut, at);
                    open.in_query = true;
                }
                '&' if open.in_query => open.close(&mut cut, at),
                '=' if open.in_query && open.equals.is_none() => open.equals = Some(at),
                _ => {}
            }
        }
    }
    open.close(&mut cut, end);
    Ok(cut)
}

/// The part that is being read.
struct Open {
    start: usize,
    equals: Option<usize>,
    in_query: bool,
}

impl Open {
    fn close(&mut self, cut: &mut Cut, at: usize) {
        let whole = Part {
            start: self.start,
            end: at,
        };
        if self.in_query {
            let equals = self.equals.take();
            cut.query.push(PairPart {
                name: Part {
                    end: equals.unwrap_or(at),
                    ..whole
                },
                value: Part {
                    start: equals.map_or(at, |equals| equals + 1),
                    ..whole
                },
            });
        } else {
            cut.segments.push(whole);
        }
        self.start = at + 1;
    }
}

fn check_literal(c: char, at: usize, in_query: bool) -> Result<(), LanguageError> {
    let fault = match c {
        '%' => "A request is written unencoded, so `%` can't stand here.",
        '#' if !in_query => "A path can't hold `#`.",
        ' ' if !in_query => "A path can't hold spaces outside `{{ }}`.",
        _ if c.is_control() => "A request is one line without control characters.",
        _ => return Ok(()),
    };
    Err(LanguageError::new(fault, at)
        .with_hint(Some("write the character itself, it is encoded when it is sent; a literal one goes into a value: `{{ '%' }}`".to_owned())))
}
