//! SOAP envelopes: reading a request into a small tree, and wrapping an answer in the request's version.

use quick_xml::{NsReader, escape::escape, events::Event, name::ResolveResult};

/// Namespace of SOAP 1.1 envelopes.
const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of SOAP 1.2 envelopes.
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
const DEPTH_MAX: usize = 32;

/// Which SOAP a request speaks; the answer speaks the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `text/xml` and the header `SOAPAction`.
    V11,
    /// `application/soap+xml` with the parameter `action`.
    V12,
}

impl Version {
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::V11 => SOAP_11,
            Self::V12 => SOAP_12,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml; charset=utf-8",
            Self::V12 => "application/soap+xml; charset=utf-8",
        }
    }
}

/// An element of a request.
#[derive(Debug, Default, Clone)]
pub(crate) struct Element {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The texts of the children of that name.
    pub(crate) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let children = self.children.iter().filter(move |one| one.name == name);
        children.map(|one| one.text.trim())
    }

    /// The text of the first child of that name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let child = self.children.iter().find(|one| one.name == name)?;
        Some(child.text.trim())
    }
}

/// Reads an XML document; gives nothing when it is broken, too deep or has a DOCTYPE.
pub(crate) fn parse(bytes: &[u8]) -> Option<Element> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        match reader.read_resolved_event().ok()? {
            (namespace, Event::Start(start)) => {
                let namespace = match namespace {
                    ResolveResult::Bound(namespace) => {
                        String::from_utf8_lossy(namespace.0.as_ref()).into_owned()
                    }
                    ResolveResult::Unbound => String::new(),
                    ResolveResult::Unknown(_) => return None,
                };
                let name = start.local_name();
                let name = name.as_ref().to_owned();
                if open.len() > DEPTH_MAX {
                    return None;
                }
                open.push(Element {
                    namespace,
                    name,
                    ..Element::default()
                });
            }
            (_, Event::End(_)) => {
                let closed = open.pop()?;
                open.last_mut()?.children.push(closed);
            }
            (_, Event::Text(text)) => open.last_mut()?.text.push_str(&text),
            (_, Event::CData(data)) => open.last_mut()?.text.push_str(&data),
            (_, Event::GeneralRef(reference)) => {
                let letter = match reference.resolve_char_ref().ok()? {
                    Some(letter) => letter,
                    None => named_letter(&reference)?,
                };
                open.last_mut()?.text.push(letter);
            }
            (_, Event::DocType(_)) => return None,
            (_, Event::Eof) => break,
            _ => {}
        }
    }
    let root = open.pop().filter(|_| open.is_empty())?;
    root.children.into_iter().next()
}

fn named_letter(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// The first element in the envelope's body, and the envelope's version.
pub(crate) fn payload(bytes: &[u8]) -> Option<(Version, Element)> {
    let envelope = parse(bytes).filter(|root| root.name == "Envelope")?;
    let version = match envelope.namespace.as_str() {
        SOAP_11 => Version::V11,
        SOAP_12 => Version::V12,
        _ => return None,
    };
    let is_body = |one: &Element| one.name == "Body" && one.namespace == envelope.namespace;
    let body = envelope.children.iter().find(|one| is_body(one))?;
    Some((version, body.children.first()?.clone()))
}

/// Wraps an answer's payload.
pub(crate) fn wrap(version: Version, payload: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<S:Envelope xmlns:S=\"{}\"><S:Header><ns2:Usage \
         xmlns:ns2=\"urn:acme:erp:v2\" limit=\"100000\">412</ns2:Usage></S:Header><S:Body>{payload}</S:Body></S:Envelope>",
        version.namespace()
    )
}

/// Writes a fault of that version.
pub(crate) fn fault(version: Version, class: &str, code: &str, message: &str) -> String {
    let message = escape(message);
    let detail = format!(
        "<ns2:ErpFault xmlns:ns2=\"urn:acme:erp:v2\"><ns2:Code>{code}</ns2:Code><ns2:Message>{message}</ns2:Message></ns2:ErpFault>"
    );
    let fault = match version {
        Version::V11 => format!(
            "<S:Fault><faultcode>ns0:{class}</faultcode><faultstring>{message}</faultstring><detail>{detail}</detail></S:Fault>"
        ),
        Version::V12 => {
            let role = if class.starts_with("Server") {
                "Receiver"
            } else {
                "Sender"
            };
            format!(
                "<S:Fault><S:Code><S:Value>S:{role}</S:Value><S:Subcode><S:Value xmlns:ns0=\"urn:acme:erp:v2\">ns0:{class}</S:Value></S:Subcode></S:Code>\
                 <S:Reason><S:Text xml:lang=\"en\">{message}</S:Text></S:Reason><S:Detail>{detail}</S:Detail></S:Fault>"
            )
        }
    };
    wrap(version, &fault)
}

/// Writes an element with text, escaped.
pub(crate) fn tag(out: &mut String, name: &str, text: &str) {
    out.push_str(&format!("<t:{name}>{}</t:{name}>", escape(text)));
}

/// Writes an element that is null.
pub(crate) fn nil(out: &mut String, name: &str) {
    out.push_str(&format!("<t:{name} xsi:nil=\"true\"/>"));
}
