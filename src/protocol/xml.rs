//! Reads XML into a small element tree, and refuses what XML lets a stranger do to a reader.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;

use crate::protocol::error::{DecodeError, XmlReason};
use crate::protocol::limits::Limits;

/// The most attributes one element may have, namespace declarations included.
pub const ATTRIBUTES_MAX: usize = 64;

/// An element with its names resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The namespace; `None` when there is none or the prefix is not declared.
    pub namespace: Option<Arc<str>>,
    /// The name without prefix.
    pub local: Box<str>,
    /// The attributes in document order, without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// Elements and text in document order; neighbouring text, CDATA and references are one text.
    pub children: Vec<Node>,
}

/// An attribute with its name resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The namespace; `None` when there is no prefix or it is not declared.
    pub namespace: Option<Arc<str>>,
    /// The name without prefix.
    pub local: Box<str>,
    /// The value with references resolved.
    pub value: Box<str>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Text as it reads once references and line ends are resolved.
    Text(Box<str>),
}

impl Element {
    /// The child elements in document order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// All text directly in this element.
    pub fn text(&self) -> String {
        self.children
            .iter()
            .filter_map(|child| match child {
                Node::Text(text) => Some(&**text),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// The value of the attribute of that namespace and name.
    pub fn attribute(&self, namespace: Option<&str>, local: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| {
                attribute.namespace.as_deref() == namespace && &*attribute.local == local
            })
            .map(|attribute| &*attribute.value)
    }

    /// Whether this is the element of that namespace and name.
    pub fn is(&self, namespace: Option<&str>, local: &str) -> bool {
        self.namespace.as_deref() == namespace && &*self.local == local
    }
}

/// Reads one document.
///
/// The encoding comes from a byte order mark, else from `charset` (the Content-Type's), else from the declaration,
/// else it is UTF-8; UTF-16, ISO-8859-1 and US-ASCII are converted, others refused. A DOCTYPE is refused, as is every
/// entity but the five; comments and processing instructions are skipped.
pub fn decode(
    bytes: &[u8],
    charset: Option<&str>,
    limits: &Limits,
) -> Result<Element, DecodeError> {
    if bytes.len() > limits.bytes {
        return Err(DecodeError::TooLong {
            limit: limits.bytes,
        });
    }
    parse(&text(bytes, charset)?, limits)
}

/// Converts a document's bytes to text by the same rules, without its byte order mark.
pub fn text<'b>(bytes: &'b [u8], charset: Option<&str>) -> Result<Cow<'b, str>, DecodeError> {
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        return utf8(rest);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFF\xFE") {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        return utf16(rest, u16::from_be_bytes);
    }
    if bytes.starts_with(b"<\0") {
        return utf16(bytes, u16::from_le_bytes);
    }
    if bytes.starts_with(b"\0<") {
        return utf16(bytes, u16::from_be_bytes);
    }
    let declared = match charset {
        Some(charset) => Some(charset.to_ascii_lowercase()),
        None => declared_encoding(bytes),
    };
    match declared.as_deref().unwrap_or("utf-8") {
        "utf-8" | "utf8" => utf8(bytes),
        "utf-16be" | "utf-16" => utf16(bytes, u16::from_be_bytes),
        "utf-16le" => utf16(bytes, u16::from_le_bytes),
        "iso-8859-1" | "latin1" => Ok(bytes
            .iter()
            .copied()
            .map(char::from)
            .collect::<String>()
            .into()),
        "us-ascii" | "ascii" if bytes.is_ascii() => utf8(bytes),
        _ => Err(DecodeError::Encoding),
    }
}

/// Whether XML 1.0 section 2.2 allows the character.
pub fn is_allowed(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        other => other >= ' ',
    }
}

/// Parses text that is already decoded.
pub fn parse(text: &str, limits: &Limits) -> Result<Element, DecodeError> {
    if let Some((at, _)) = text
        .char_indices()
        .find(|&(_, character)| !is_allowed(character))
    {
        return Err(malformed(at, XmlReason::Character));
    }
    let mut builder = Builder {
        limits,
        open: Vec::new(),
        root: None,
        elements: 0,
        names: HashSet::new(),
        pending: String::new(),
    };
    let mut reader = NsReader::from_str(text);
    loop {
        let before = position(reader.buffer_position());
        let event = reader
            .read_event()
            .map_err(|error| malformed(position(reader.error_position()), reason(&error)))?;
        match event {
            Event::Start(start) => builder.start(&start, reader.resolver(), before)?,
            Event::Empty(start) => {
                builder.start(&start, reader.resolver(), before)?;
                builder.end();
            }
            Event::End(_) => builder.end(),
            Event::Text(text) => builder.text(&text.xml10_content(), before)?,
            Event::CData(text) => builder.text(&text.xml10_content(), before)?,
            Event::GeneralRef(reference) => {
                let character = resolve(&reference, before)?;
                builder.text(character.encode_utf8(&mut [0; 4]), before)?;
            }
            Event::DocType(_) => return Err(malformed(before, XmlReason::Doctype)),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return builder.finish(before),
        }
    }
}

struct Builder<'l> {
    limits: &'l Limits,
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    names: HashSet<Arc<str>>,
    /// Text met since the last tag, kept growable so that a text made of references costs linear time.
    pending: String,
}

impl Builder<'_> {
    fn start(
        &mut self,
        start: &BytesStart<'_>,
        resolver: &NamespaceResolver,
        at: usize,
    ) -> Result<(), DecodeError> {
        self.flush();
        let depth = self.limits.depth_effective();
        if self.open.len() >= depth {
            return Err(DecodeError::TooDeep { limit: depth });
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(malformed(at, XmlReason::Root));
        }
        self.elements += 1;
        if self.elements > self.limits.nodes {
            return Err(DecodeError::TooManyNodes {
                limit: self.limits.nodes,
            });
        }
        let (namespace, local) = resolver.resolve_element(start.name());
        let local = local.into_inner();
        if local.is_empty() {
            return Err(malformed(at, XmlReason::Malformed));
        }
        let namespace = self.intern(&namespace);
        let attributes = self.attributes(start, resolver, at)?;
        self.open.push(Element {
            namespace,
            local: local.into(),
            attributes,
            children: Vec::new(),
        });
        Ok(())
    }

    fn attributes(
        &mut self,
        start: &BytesStart<'_>,
        resolver: &NamespaceResolver,
        at: usize,
    ) -> Result<Vec<Attribute>, DecodeError> {
        let mut attributes = Vec::new();
        for (index, attribute) in start.attributes().enumerate() {
            if index >= ATTRIBUTES_MAX {
                return Err(DecodeError::TooManyAttributes {
                    limit: ATTRIBUTES_MAX,
                    at,
                });
            }
            let attribute = attribute.map_err(|_| malformed(at, XmlReason::Attribute))?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| malformed(at, reason(&error)))?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            if attribute.value.contains('<') {
                return Err(malformed(at, XmlReason::Attribute));
            }
            if value.len() > self.limits.text {
                return Err(DecodeError::TextTooLong {
                    limit: self.limits.text,
                });
            }
            if !value.chars().all(is_allowed) {
                return Err(malformed(at, XmlReason::Character));
            }
            let (namespace, local) = resolver.resolve_attribute(attribute.key);
            attributes.push(Attribute {
                namespace: self.intern(&namespace),
                local: local.into_inner().into(),
                value: value.into(),
            });
        }
        Ok(attributes)
    }

    fn end(&mut self) {
        self.flush();
        if let Some(element) = self.open.pop() {
            match self.open.last_mut() {
                Some(parent) => parent.children.push(Node::Element(element)),
                None => self.root = Some(element),
            }
        }
    }

    fn text(&mut self, text: &str, at: usize) -> Result<(), DecodeError> {
        if self.open.is_empty() {
            if text.trim_ascii().is_empty() {
                return Ok(());
            }
            return Err(malformed(at, XmlReason::Root));
        }
        let limit = self.limits.text;
        if self.pending.len() + text.len() > limit {
            return Err(DecodeError::TextTooLong { limit });
        }
        self.pending.push_str(text);
        Ok(())
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if let Some(element) = self.open.last_mut() {
            element
                .children
                .push(Node::Text(self.pending.as_str().into()));
        }
        self.pending.clear();
    }

    fn finish(self, at: usize) -> Result<Element, DecodeError> {
        if !self.open.is_empty() {
            return Err(malformed(at, XmlReason::Malformed));
        }
        self.root.ok_or_else(|| malformed(at, XmlReason::Root))
    }

    /// One allocation per distinct namespace instead of one per element.
    fn intern(&mut self, namespace: &ResolveResult<'_>) -> Option<Arc<str>> {
        let ResolveResult::Bound(namespace) = namespace else {
            return None;
        };
        if namespace.0.is_empty() {
            return None;
        }
        if let Some(known) = self.names.get(namespace.0) {
            return Some(Arc::clone(known));
        }
        let name: Arc<str> = namespace.0.into();
        self.names.insert(Arc::clone(&name));
        Some(name)
    }
}

fn resolve(reference: &BytesRef<'_>, at: usize) -> Result<char, DecodeError> {
    let character = reference
        .resolve_char_ref()
        .map_err(|_| malformed(at, XmlReason::Character))?;
    let character = match (character, &**reference) {
        (Some(character), _) => character,
        (None, "amp") => '&',
        (None, "lt") => '<',
        (None, "gt") => '>',
        (None, "quot") => '"',
        (None, "apos") => '\'',
        (None, _) => return Err(malformed(at, XmlReason::Entity)),
    };
    if is_allowed(character) {
        Ok(character)
    } else {
        Err(malformed(at, XmlReason::Character))
    }
}

fn reason(error: &quick_xml::Error) -> XmlReason {
    use quick_xml::Error as E;
    use quick_xml::escape::EscapeError;
    match error {
        E::Escape(EscapeError::UnrecognizedEntity(..)) => XmlReason::Entity,
        E::Escape(EscapeError::InvalidCharRef(_)) => XmlReason::Character,
        E::Escape(_) | E::InvalidAttr(_) => XmlReason::Attribute,
        E::Namespace(_) => XmlReason::Namespace,
        E::Io(_) | E::Syntax(_) | E::IllFormed(_) | E::Encoding(_) => XmlReason::Malformed,
    }
}

fn malformed(at: usize, reason: XmlReason) -> DecodeError {
    DecodeError::Xml { at, reason }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|_| DecodeError::Encoding)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, DecodeError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(DecodeError::Encoding);
    }
    char::decode_utf16(pairs.iter().map(|&pair| unit(pair)))
        .collect::<Result<String, _>>()
        .map(Cow::Owned)
        .map_err(|_| DecodeError::Encoding)
}

/// The encoding named by the XML declaration, in lower case; one that says UTF-16 in single bytes is wrong and ignored.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(256))?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(head.get(..end)?)
        .ok()?
        .strip_prefix("<?xml")?;
    let (_, after) = declaration.split_once("encoding")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\''))?;
    let (name, _) = value.strip_prefix(quote)?.split_once(quote)?;
    let name = name.to_ascii_lowercase();
    (!name.starts_with("utf-16")).then_some(name)
}
