//! Writes SOAP calls.

use crate::protocol::soap::Version;
use crate::protocol::url::{HeaderValueError, check_header_value};
use crate::protocol::xml::is_allowed;

/// Prefixes the envelope may take; the first that the connector does not use itself.
const PREFIXES: [&str; 3] = ["soapenv", "SOAP-ENV", "tributary-env"];

/// An envelope as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The document.
    pub bytes: Vec<u8>,
    /// Where in it the header ends, so that another block can be put in.
    pub header_end: usize,
}

/// Writes an envelope around fragments whose values are escaped already; the order is the template's.
///
/// `xsi` and `xsd` are declared unless the connector declares them. The header is there also when it is empty, since a
/// credential may have a block to put into it.
pub fn envelope(
    version: Version,
    header_xml: &str,
    body_xml: &str,
    namespaces: &[(String, String)],
) -> Envelope {
    let is_taken = |prefix: &str| namespaces.iter().any(|(known, _)| known == prefix);
    let prefix = PREFIXES
        .into_iter()
        .find(|prefix| !is_taken(prefix))
        .unwrap_or("tributary-envelope");
    let mut out = String::with_capacity(header_xml.len() + body_xml.len() + 512);
    out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    out.push_str(&format!("<{prefix}:Envelope"));
    let mut declare = |name: &str, uri: &str| {
        let colon = if name.is_empty() { "" } else { ":" };
        out.push_str(&format!(
            " xmlns{colon}{name}=\"{}\"",
            escape_attribute(uri)
        ));
    };
    declare(prefix, version.namespace());
    for (name, uri) in [
        ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
        ("xsd", "http://www.w3.org/2001/XMLSchema"),
    ] {
        if !is_taken(name) {
            declare(name, uri);
        }
    }
    for (name, uri) in namespaces {
        declare(name, uri);
    }
    out.push('>');
    out.push_str(&format!("<{prefix}:Header>{header_xml}"));
    let header_end = out.len();
    out.push_str(&format!(
        "</{prefix}:Header><{prefix}:Body>{body_xml}</{prefix}:Body></{prefix}:Envelope>"
    ));
    Envelope {
        bytes: out.into_bytes(),
        header_end,
    }
}

/// The headers of a call: 1.1 always sends a quoted `SOAPAction`, also an empty one; 1.2 puts it in the content type.
pub fn headers(
    version: Version,
    action: &str,
) -> Result<Vec<(&'static str, String)>, HeaderValueError> {
    check_header_value(action)?;
    if let Some(at) = action.find(['"', '\\']) {
        return Err(HeaderValueError { at });
    }
    Ok(match version {
        Version::V1_1 => vec![
            ("content-type", "text/xml; charset=utf-8".to_owned()),
            ("soapaction", format!("\"{action}\"")),
        ],
        Version::V1_2 if action.is_empty() => {
            vec![(
                "content-type",
                "application/soap+xml; charset=utf-8".to_owned(),
            )]
        }
        Version::V1_2 => vec![(
            "content-type",
            format!("application/soap+xml; charset=utf-8; action=\"{action}\""),
        )],
    })
}

/// Escapes a value for element text; characters that XML 1.0 cannot carry are removed.
pub fn escape_text(value: &str) -> String {
    escape(value, false)
}

/// Escapes a value for a quoted attribute value; safe in element text too, where it reads the same.
pub fn escape_attribute(value: &str) -> String {
    escape(value, true)
}

fn escape(value: &str, keep_white_space: bool) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars().filter(|&character| is_allowed(character)) {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#13;"),
            '\n' if keep_white_space => out.push_str("&#10;"),
            '\t' if keep_white_space => out.push_str("&#9;"),
            other => out.push(other),
        }
    }
    out
}
