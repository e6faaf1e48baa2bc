//! The sentences in which the reader of YAML tells what is wrong.

use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Place, nearest};
use crate::config::yaml::deserialize::Refusal;
use crate::config::yaml::{Kind, Node, PathSegment};

/// The longest list of known words that a hint spells out.
const KNOWN_SHOWN_MAX: usize = 16;

fn has_interpolated(node: &Node) -> bool {
    node.interpolated
        || match &node.kind {
            Kind::Scalar(_) => false,
            Kind::Sequence(items) => items.iter().any(has_interpolated),
            Kind::Mapping(pairs) => pairs.iter().any(|(_, value)| has_interpolated(value)),
        }
}

/// The path as people write it.
pub(super) fn name(path: &[PathSegment]) -> String {
    let mut out = String::new();
    for segment in path {
        match segment {
            PathSegment::Key(key) if out.is_empty() => out.push_str(key),
            PathSegment::Key(key) => {
                out.push('.');
                out.push_str(key);
            }
            PathSegment::Index(index) => out.push_str(&format!("[{index}]")),
        }
    }
    if out.is_empty() {
        "The file".to_owned()
    } else {
        format!("`{out}`")
    }
}

fn words(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// What the writer probably meant.
pub(super) fn hint(word: &str, known: &'static [&'static str], what: &str) -> Option<String> {
    if let Some(near) = nearest(word, known.iter().copied()) {
        return Some(format!("Did you mean `{near}`?"));
    }
    if known.is_empty() || known.len() > KNOWN_SHOWN_MAX {
        return None;
    }
    Some(format!("{what}: {}.", words(known)))
}

/// Words the refusal of a value; what the environment gave is never shown.
pub(super) fn value(
    file: &Arc<str>,
    place: Place,
    (path, node): (&[PathSegment], &Node),
    refusal: &Refusal,
) -> Diagnostic {
    let owner = name(path);
    let secret = has_interpolated(node);
    let of = |code, message| Diagnostic::error(code, file, place, message);
    match refusal {
        Refusal::WrongType { expected, .. } if secret => of(
            "wrong-type",
            format!("{owner} needs {expected}, and its `${{…}}` gives something else."),
        ),
        Refusal::WrongType { found, expected } => of(
            "wrong-type",
            format!("{owner} needs {expected}, and this is {found}."),
        ),
        Refusal::UnknownVariant { known, .. } if secret => {
            let mut diagnostic = of(
                "unknown-value",
                format!("{owner} does not know what its `${{…}}` gives."),
            );
            diagnostic.hint = Some(format!("The values here are: {}.", words(known)));
            diagnostic
        }
        Refusal::UnknownVariant { found, known } => {
            let mut diagnostic = of(
                "unknown-value",
                format!("{owner} does not know the value `{found}`."),
            );
            diagnostic.hint = hint(found, known, "The values here are");
            diagnostic
        }
        _ if secret => of(
            "invalid-value",
            format!("{owner} is not valid with what its `${{…}}` gives."),
        ),
        Refusal::Other { message } => of(
            "invalid-value",
            format!("{owner} is not valid: {}.", message.trim_end_matches('.')),
        ),
        Refusal::UnknownKey { key, .. } => {
            of("unknown-key", format!("{owner} has no key `{key}`."))
        }
        Refusal::Missing { key } => of("missing-key", format!("{owner} lacks the key `{key}`.")),
    }
}
