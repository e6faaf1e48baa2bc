//! Global ids: opaque to callers, derivable from the record they are anchored on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const ID_BYTES_MAX: usize = 1024;
const SEPARATOR: char = '\u{1f}';

/// The parts of a global id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GlobalId {
    /// The type of the graph.
    pub entity: String,
    /// The source of the anchor record.
    pub source: String,
    /// The vendor's name for this kind of object.
    pub remote_type: String,
    /// The vendor's id.
    pub remote_id: String,
}

impl GlobalId {
    /// The id as callers see it.
    pub fn encode(entity: &str, source: &str, remote_type: &str, remote_id: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!(
            "{entity}{SEPARATOR}{source}{SEPARATOR}{remote_type}{SEPARATOR}{remote_id}"
        ))
    }

    /// Reads an id that a caller sent; `None` when it is not one of ours.
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() > ID_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(4, SEPARATOR).map(str::to_owned);
        Some(Self {
            entity: parts.next()?,
            source: parts.next()?,
            remote_type: parts.next()?,
            remote_id: parts.next().filter(|id| !id.is_empty())?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::GlobalId;

    #[test]
    fn an_id_comes_back_as_it_was_made() {
        let text = GlobalId::encode("Customer", "crm", "Contact", "9007199254740993");
        let id = GlobalId::decode(&text).unwrap();
        assert_eq!(
            (&*id.entity, &*id.source, &*id.remote_type, &*id.remote_id),
            ("Customer", "crm", "Contact", "9007199254740993")
        );
    }

    #[test]
    fn what_is_not_ours_is_no_id() {
        for text in ["", "x", "Q3VzdG9tZXI", "====", &"A".repeat(5000)] {
            assert_eq!(GlobalId::decode(text), None);
        }
    }
}
