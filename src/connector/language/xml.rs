//! XML bodies: a template whose values are escaped, after a proof that each stands where escaping is enough.

use super::Language;
use super::error::{EvaluateError, LanguageError};
use super::filter;
use super::scan::{self, NameUse, PieceKind};
use super::template::{Context, TextTemplate};

/// Elements that may be open at once in a template.
const DEPTH_MAX: usize = 64;

/// An XML fragment with Jinja in it. Values stand in element text or in quoted attribute values only, and every
/// branch and loop body holds whole elements, so that no value and no branch can change how the rest is read.
#[derive(Debug, Clone)]
pub struct XmlTemplate {
    text: TextTemplate,
}

impl XmlTemplate {
    /// Compiles the text and proves the positions of its values.
    pub fn compile(source: &str, language: &Language) -> Result<Self, LanguageError> {
        let mut environment = language.templates.clone();
        environment.set_formatter(filter::write_xml);
        let text = TextTemplate::compile_in(source, language, environment)?;
        check_positions(source)?;
        Ok(Self { text })
    }

    /// The top-level names it reads, each with its first place.
    pub fn names(&self) -> &[NameUse] {
        self.text.names()
    }

    /// Renders it, every value escaped.
    pub fn render(&self, context: &Context) -> Result<String, EvaluateError> {
        self.text.render(context)
    }
}

/// A text such that it can stand in element text and in quoted attribute values, and reads back as it was but for the
/// characters that XML 1.0 section 2.2 cannot carry, which are left out.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Bare ones would be normalised to spaces in attributes, and `\r` to `\n` everywhere.
            '\r' => escaped.push_str("&#13;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Where in XML a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Text,
    /// After `<name`, outside attribute values.
    Tag,
    Attribute(char),
}

/// The reader of a template's literal texts.
struct Reader<'s> {
    position: Position,
    elements: Vec<&'s str>,
    /// The elements that were open where each `if` and `for` began.
    branches: Vec<Vec<&'s str>>,
}

fn check_positions(source: &str) -> Result<(), LanguageError> {
    let mut reader = Reader {
        position: Position::Text,
        elements: Vec::new(),
        branches: Vec::new(),
    };
    for piece in scan::pieces(source)? {
        let place = |error: LanguageError| error.shifted(piece.start);
        match piece.kind {
            PieceKind::Literal => reader.literal(piece.inner).map_err(place)?,
            PieceKind::Print => reader.print().map_err(place)?,
            PieceKind::Statement => reader.statement(piece.inner).map_err(place)?,
            PieceKind::Comment if reader.position == Position::Text => {}
            PieceKind::Comment => {
                return Err(LanguageError::new(
                    "A comment can't stand inside a tag.",
                    piece.start,
                ));
            }
        }
    }
    match (reader.position, reader.elements.last()) {
        (Position::Text, None) => Ok(()),
        (Position::Text, Some(name)) => Err(LanguageError::new(
            format!("The element `{name}` is not closed."),
            source.len(),
        )),
        _ => Err(LanguageError::new("A tag is not closed.", source.len())),
    }
}

impl<'s> Reader<'s> {
    fn print(&self) -> Result<(), LanguageError> {
        match self.position {
            Position::Text if self.elements.is_empty() => Err(LanguageError::new(
                "A value must stand inside an element.",
                0,
            )),
            Position::Text | Position::Attribute(_) => Ok(()),
            Position::Tag => Err(LanguageError::new(
                "A value can't stand in a tag outside the quotes of an attribute.",
                0,
            )),
        }
    }

    fn statement(&mut self, inner: &str) -> Result<(), LanguageError> {
        if self.position != Position::Text {
            return Err(LanguageError::new(
                "A statement can't stand inside a tag; put it around whole elements.",
                0,
            ));
        }
        match inner.split_whitespace().next().unwrap_or_default() {
            "if" | "for" => self.branches.push(self.elements.clone()),
            "elif" | "else" => self.same_elements(false)?,
            "endif" | "endfor" => self.same_elements(true)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether as many elements are open as where the branch began, and the same ones.
    fn same_elements(&mut self, is_end: bool) -> Result<(), LanguageError> {
        let is_same = self.branches.last() == Some(&self.elements);
        if is_end {
            self.branches.pop();
        }
        if is_same {
            return Ok(());
        }
        Err(LanguageError::new(
            "A branch or loop must open and close the same elements.",
            0,
        ))
    }

    fn literal(&mut self, text: &'s str) -> Result<(), LanguageError> {
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.position {
                Position::Text => self.text(rest).map_err(|error| error.shifted(at))?,
                Position::Tag => self.tag(rest).map_err(|error| error.shifted(at))?,
                Position::Attribute(quote) => self
                    .attribute(rest, quote)
                    .map_err(|error| error.shifted(at))?,
            };
        }
        Ok(())
    }

    /// Reads text up to and with the start of a tag.
    fn text(&mut self, rest: &'s str) -> Result<usize, LanguageError> {
        let Some(at) = rest.find('<') else {
            return check_references(rest).map(|()| rest.len());
        };
        check_references(rest.get(..at).unwrap_or_default())?;
        let tag = rest.get(at + 1..).unwrap_or_default();
        if tag.starts_with(['!', '?']) {
            return Err(LanguageError::new(
                "Comments, CDATA, declarations and processing instructions are not allowed here.",
                at,
            ));
        }
        let is_end = tag.starts_with('/');
        let name = name_at(if is_end {
            tag.get(1..).unwrap_or_default()
        } else {
            tag
        });
        if name.is_empty() {
            return Err(
                LanguageError::new("`<` is not followed by an element's name.", at)
                    .with_hint(Some("write `&lt;` for the character".to_owned())),
            );
        }
        if !is_end {
            if self.elements.len() >= DEPTH_MAX {
                return Err(LanguageError::new("Too many elements are open.", at));
            }
            self.elements.push(name);
            self.position = Position::Tag;
            return Ok(at + 1 + name.len());
        }
        self.end_tag(rest, at, name)
    }

    fn end_tag(&mut self, rest: &'s str, at: usize, name: &'s str) -> Result<usize, LanguageError> {
        let after = at + 2 + name.len();
        let tail = rest.get(after..).unwrap_or_default();
        let spaces = tail.len() - tail.trim_start().len();
        let floor = self.branches.last().map_or(0, Vec::len);
        if !tail.trim_start().starts_with('>') {
            return Err(LanguageError::new(format!("`</{name}` has no `>`."), at));
        }
        if self.elements.last() != Some(&name) {
            return Err(LanguageError::new(
                format!("`</{name}>` does not close the element that is open."),
                at,
            ));
        }
        if self.elements.len() <= floor {
            return Err(LanguageError::new(
                format!(
                    "`</{name}>` closes an element that was opened outside this branch or loop."
                ),
                at,
            ));
        }
        self.elements.pop();
        Ok(after + spaces + 1)
    }

    /// Reads a tag up to an attribute's value or its end.
    fn tag(&mut self, rest: &str) -> Result<usize, LanguageError> {
        let Some((at, c)) = rest
            .char_indices()
            .find(|(_, c)| matches!(c, '>' | '"' | '\'' | '<' | '&' | '/'))
        else {
            return check_attribute_names(rest).map(|()| rest.len());
        };
        check_attribute_names(rest.get(..at).unwrap_or_default())?;
        let before = rest.get(..at).unwrap_or_default().trim_end();
        match c {
            '>' => {
                self.position = Position::Text;
                Ok(at + 1)
            }
            '/' if rest.get(at + 1..).is_some_and(|tail| tail.starts_with('>')) => {
                self.elements.pop();
                self.position = Position::Text;
                Ok(at + 2)
            }
            '"' | '\'' if before.ends_with('=') => {
                self.position = Position::Attribute(c);
                Ok(at + 1)
            }
            _ => Err(LanguageError::new(
                format!("`{c}` can't stand in a tag."),
                at,
            )),
        }
    }

    fn attribute(&mut self, rest: &str, quote: char) -> Result<usize, LanguageError> {
        let end = rest.find(quote);
        let value = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if let Some(at) = value.find('<') {
            return Err(LanguageError::new("`<` can't stand in an attribute.", at));
        }
        check_references(value)?;
        let Some(end) = end else {
            return Ok(rest.len());
        };
        let tail = rest.get(end + 1..).unwrap_or_default();
        if !tail.starts_with(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/') {
            return Err(LanguageError::new(
                "After an attribute's value comes a space or the tag's end.",
                end,
            ));
        }
        self.position = Position::Tag;
        Ok(end + 1)
    }
}

fn name_at(text: &str) -> &str {
    let is_start = |c: char| c.is_alphabetic() || c == '_';
    if !text.starts_with(is_start) {
        return "";
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// Whether what stands between attribute values is names and `=`.
fn check_attribute_names(text: &str) -> Result<(), LanguageError> {
    let is_part = |c: char| {
        c.is_alphanumeric() || c.is_ascii_whitespace() || matches!(c, '_' | '-' | '.' | ':' | '=')
    };
    match text.find(|c| !is_part(c)) {
        None => Ok(()),
        Some(at) => Err(LanguageError::new(
            "A tag holds attributes with quoted values only.",
            at,
        )),
    }
}

/// Whether each `&` starts one of XML's five entities or a character reference.
fn check_references(text: &str) -> Result<(), LanguageError> {
    for (at, _) in text.match_indices('&') {
        let body = text
            .get(at + 1..)
            .and_then(|tail| tail.split_once(';'))
            .map(|(body, _)| body);
        let is_known = body.is_some_and(|body| {
            matches!(body, "amp" | "lt" | "gt" | "quot" | "apos")
                || body
                    .strip_prefix("#x")
                    .map(|hex| u32::from_str_radix(hex, 16))
                    .or_else(|| body.strip_prefix('#').map(str::parse::<u32>))
                    .is_some_and(|code| code.is_ok_and(|code| char::from_u32(code).is_some()))
        });
        if !is_known {
            return Err(
                LanguageError::new("`&` does not start a known reference.", at)
                    .with_hint(Some("write `&amp;` for the character".to_owned())),
            );
        }
    }
    Ok(())
}
