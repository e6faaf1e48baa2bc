//! Reads faults of both versions, also those that real servers get wrong.

use crate::protocol::error::DecodeError;
use crate::protocol::soap::mapping::{Mapper, local_part};
use crate::protocol::tree::Tree;
use crate::protocol::xml::{Element, Node};

/// A SOAP fault; codes are the local parts of QNames, since their prefixes are often undeclared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// Such as `Server`, `Sender` or `INVALID_SESSION_ID`; empty when the vendor sent none.
    pub code: String,
    /// The subcodes of SOAP 1.2, outermost first.
    pub subcodes: Vec<String>,
    /// The vendor's words; for logs of the operator's choice, never for callers.
    pub reason: String,
    /// The members of `detail`, or what stands directly under the Fault in its place; null when neither.
    pub detail: Tree,
}

/// Reads a Fault by local names, whatever version its envelope claims.
pub(super) fn read(element: &Element, mapper: &mut Mapper<'_>) -> Result<Fault, DecodeError> {
    let mut fault = Fault::default();
    let mut detail = None;
    let mut strays = element.clone();
    strays.children.clear();
    strays.attributes.clear();
    for child in element.elements() {
        match &*child.local {
            "faultcode" => fault.code = local_part(&child.text()).to_owned(),
            "faultstring" => fault.reason = child.text().trim().to_owned(),
            "Code" => read_code(child, &mut fault),
            "Reason" => fault.reason = reason(child),
            "detail" | "Detail" => detail = Some(child),
            "faultactor" | "Node" | "Role" => {}
            _ => strays.children.push(Node::Element(child.clone())),
        }
    }
    fault.detail = match detail {
        Some(detail) => mapper.content(detail)?,
        None if strays.children.is_empty() => Tree::Null,
        None => mapper.members(&strays)?,
    };
    Ok(fault)
}

/// Subcodes nest; the element depth the parser allows bounds the walk.
fn read_code(code: &Element, fault: &mut Fault) {
    let value = |element: &Element| {
        named(element, "Value").map(|value| local_part(&value.text()).to_owned())
    };
    fault.code = value(code).unwrap_or_default();
    let mut next = named(code, "Subcode");
    while let Some(subcode) = next {
        fault.subcodes.extend(value(subcode));
        next = named(subcode, "Subcode");
    }
}

/// The English text when there are several, else the first.
fn reason(reason: &Element) -> String {
    let is_english = |element: &&Element| {
        let language = element
            .attributes
            .iter()
            .find(|attribute| &*attribute.local == "lang");
        language.is_some_and(|language| language.value.to_ascii_lowercase().starts_with("en"))
    };
    let texts = || {
        reason
            .elements()
            .filter(|element| &*element.local == "Text")
    };
    texts()
        .find(is_english)
        .or_else(|| texts().next())
        .map(|text| text.text().trim().to_owned())
        .unwrap_or_default()
}

fn named<'e>(element: &'e Element, local: &str) -> Option<&'e Element> {
    element.elements().find(|child| &*child.local == local)
}
