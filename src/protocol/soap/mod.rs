//! Speaks SOAP 1.1 and 1.2: writes envelopes, reads replies and faults.

pub mod call;
pub mod fault;
mod mapping;
pub mod position;

use crate::protocol::error::{DecodeError, XmlReason};
use crate::protocol::limits::Limits;
use crate::protocol::multipart::{self, ContentType};
use crate::protocol::soap::fault::Fault;
use crate::protocol::soap::mapping::Mapper;
use crate::protocol::tree::Tree;
use crate::protocol::xml::{self, Element};

/// The version of a SOAP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// SOAP 1.1, `text/xml`.
    V1_1,
    /// SOAP 1.2, `application/soap+xml`.
    V1_2,
}

impl Version {
    /// The namespace of the envelope.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::V1_1 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V1_2 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// The namespace of SOAP encoding's attributes.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::V1_1 => "http://schemas.xmlsoap.org/soap/encoding/",
            Self::V1_2 => "http://www.w3.org/2003/05/soap-encoding",
        }
    }
}

/// How a reply's elements become names and lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SoapOptions {
    /// The connector's prefixes and namespaces; elements of these are known by their local name.
    pub namespaces: Vec<(String, String)>,
    /// Whether every element is known by its local name, for servers that are sloppy with namespaces.
    pub lenient: bool,
    /// Elements, by their key, that are lists even when there is one.
    pub many: Vec<String>,
}

/// A decoded envelope.
///
/// An element becomes a tree by these rules:
/// - Its key is the local name when its namespace is declared by the connector, absent, undeclared in the message, or
///   `lenient` is set; else `{uri}local`. The Body's child is a member too, so paths start with its key.
/// - Repeated siblings are a list at the place of the first. Names in `many` are always lists; of none there is no list.
/// - `xsi:nil` `true` or `1` is null, an empty element is the text ``, an absent one is missing.
/// - An element with text only is that text, untrimmed; white space between elements goes.
/// - Attributes are members `@name`; the element's text is then `#text`. Dropped are namespace declarations, `xsi:*`,
///   and attributes of the SOAP envelope and encoding. On an element that becomes a map, `@type` is the local part of
///   its `xsi:type`; on one with text only it is dropped, since rpc/encoded servers put it on every leaf.
/// - `href="#id"` on an empty element, and `enc:ref`, are replaced by the element of that id; a cycle ends in null.
///   Body children that are only such targets go. Arrays of SOAP encoding are repeated children.
/// - `xop:Include` becomes null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapReply {
    /// The version that the vendor answered in, whatever was sent.
    pub version: Version,
    /// The header blocks as members; null when there is no Header.
    pub header: Tree,
    /// The Body's children as members, or the fault, whatever the HTTP status was.
    pub body: Result<Tree, Fault>,
    /// What the tree does not show.
    pub notes: Vec<Note>,
}

/// Something in a reply that its tree cannot show; each is listed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// An attachment was left out and is null in the tree.
    AttachmentLeftOut,
    /// Multi-references go round in a circle, which was cut with a null.
    CycleCut,
}

/// Decodes a reply of either version; the body decides, not the content type.
pub fn decode(
    bytes: &[u8],
    content_type: Option<&str>,
    options: &SoapOptions,
    limits: &Limits,
) -> Result<SoapReply, DecodeError> {
    if bytes.len() > limits.bytes {
        return Err(DecodeError::TooLong {
            limit: limits.bytes,
        });
    }
    let outer = ContentType::parse(content_type.unwrap_or_default());
    let envelope = if outer.media == "multipart/related" {
        let part = multipart::root(bytes, &outer)?;
        parse(part.body, part.content_type.parameter("charset"), limits)?
    } else {
        parse(bytes, outer.parameter("charset"), limits)?
    };
    read(&envelope, options, limits)
}

fn read(
    envelope: &Element,
    options: &SoapOptions,
    limits: &Limits,
) -> Result<SoapReply, DecodeError> {
    let version = version_of(envelope).ok_or(DecodeError::NotSoap)?;
    let child = |name: &str| {
        envelope
            .elements()
            .find(|element| &*element.local == name && element.namespace == envelope.namespace)
    };
    let body = child("Body").ok_or(DecodeError::NotSoap)?;
    let mut mapper = Mapper::new(envelope, options, limits);
    let header = match child("Header") {
        Some(header) => mapper.members(header)?,
        None => Tree::Null,
    };
    let found = body.elements().find(|element| is_fault(element, envelope));
    let body = match found {
        Some(element) => Err(fault::read(element, &mut mapper)?),
        None => Ok(mapper.body(body)?),
    };
    Ok(SoapReply {
        version,
        header,
        body,
        notes: mapper.into_notes(),
    })
}

/// An envelope without a declared namespace is taken as SOAP 1.1, the older and sloppier.
fn version_of(envelope: &Element) -> Option<Version> {
    if &*envelope.local != "Envelope" {
        return None;
    }
    match envelope.namespace.as_deref() {
        Some(namespace) => [Version::V1_1, Version::V1_2]
            .into_iter()
            .find(|version| version.namespace() == namespace),
        None => Some(Version::V1_1),
    }
}

fn is_fault(element: &Element, envelope: &Element) -> bool {
    let namespace = element.namespace.as_deref();
    &*element.local == "Fault"
        && (element.namespace == envelope.namespace
            || namespace == Some(Version::V1_1.namespace())
            || namespace == Some(Version::V1_2.namespace()))
}

fn parse(bytes: &[u8], charset: Option<&str>, limits: &Limits) -> Result<Element, DecodeError> {
    let text = match xml::text(bytes, charset) {
        Ok(text) => text,
        // A page in an unknown encoding is no SOAP; UTF-16 cannot be looked into, so there the encoding is the fault.
        Err(error) => {
            if !bytes.starts_with(b"\xFF\xFE") && !bytes.contains(&0) {
                check_root(&String::from_utf8_lossy(bytes))?;
            }
            return Err(error);
        }
    };
    check_root(&text)?;
    xml::parse(&text, limits)
}

/// Tells a proxy's page from a broken envelope before parsing, since HTML is seldom well-formed XML.
fn check_root(text: &str) -> Result<(), DecodeError> {
    let mut rest = text.trim_start();
    loop {
        let end = if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!--") {
            "-->"
        } else {
            break;
        };
        let (_, after) = rest.split_once(end).ok_or(DecodeError::NotSoap)?;
        rest = after.trim_start();
    }
    let start: String = rest.chars().take(128).collect();
    let start = start.to_ascii_lowercase();
    if let Some(kind) = start.strip_prefix("<!doctype") {
        return Err(if kind.trim_start().starts_with("html") {
            DecodeError::NotSoap
        } else {
            DecodeError::Xml {
                at: text.len() - rest.len(),
                reason: XmlReason::Doctype,
            }
        });
    }
    let name = start
        .strip_prefix('<')
        .and_then(|tag| tag.split([' ', '\t', '\r', '\n', '>', '/']).next())
        .ok_or(DecodeError::NotSoap)?;
    if name.rsplit(':').next() != Some("envelope") {
        return Err(DecodeError::NotSoap);
    }
    Ok(())
}
