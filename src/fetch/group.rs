//! What is cached for one key: the mapped records of one answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cache::value::{CodecError, Stored};
use crate::connector::failure::Refusal;
use crate::connector::{Ask, KeyResult, ListPage};
use crate::record::Record;

const REASONS_MAX: usize = 5;

/// The records that one key, or one page of a list, brought.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Group {
    /// The records, in the source's order.
    pub records: Vec<Arc<Record>>,
    /// Position of the next page of a list.
    pub next: Option<Arc<str>>,
    /// Whether more records exist than were read.
    pub truncated: bool,
    /// The exact count, when the source told it.
    pub total: Option<u64>,
    /// How many records were refused.
    pub refused: u32,
    /// Why, for the first few of them; then what is wrong with records that stay.
    pub reasons: Vec<String>,
}

impl Group {
    /// The answer for one key.
    pub fn of_key(result: KeyResult) -> Self {
        Self {
            records: result.records,
            next: None,
            truncated: result.truncated,
            total: result.total,
            refused: u32::try_from(result.refused.len()).unwrap_or(u32::MAX),
            reasons: reasons(&result.refused, &result.notes),
        }
    }

    /// The answer for one page of a list.
    pub fn of_page(page: ListPage) -> Self {
        Self {
            records: page.records,
            next: page.next.map(Into::into),
            truncated: page.truncated,
            total: page.total,
            refused: u32::try_from(page.refused.len()).unwrap_or(u32::MAX),
            reasons: reasons(&page.refused, &page.notes),
        }
    }
}

fn reasons(refused: &[Refusal], notes: &[Refusal]) -> Vec<String> {
    refused
        .iter()
        .chain(notes)
        .take(REASONS_MAX)
        .map(|refusal| refusal.reason.clone())
        .collect()
}

impl Stored for Arc<Group> {
    fn weight(&self) -> usize {
        128 + self
            .records
            .iter()
            .map(|record| record.weight())
            .sum::<usize>()
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        rmp_serde::to_vec(&**self).map_err(|error| CodecError::Value(Box::new(error)))
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        rmp_serde::from_slice(bytes)
            .map(Arc::new)
            .map_err(|error| CodecError::Value(Box::new(error)))
    }
}

/// Writes what a question asks beside its keys, in a canonical form that cache keys can hold.
pub fn write_ask(ask: &Ask) -> Arc<str> {
    if ask.filter.is_empty() && ask.sort.is_none() && ask.size == 0 {
        return "".into();
    }
    let mut filter = ask.filter.clone();
    filter.sort_by(|left, right| left.0.cmp(&right.0));
    serde_json::json!([filter, ask.sort, ask.size])
        .to_string()
        .into()
}

/// Reads what [`write_ask`] wrote.
pub fn read_ask(text: &str) -> Ask {
    let parts = serde_json::from_str(text).unwrap_or_default();
    let (filter, sort, size): AskParts = parts;
    Ask { filter, sort, size }
}

type AskParts = (
    Vec<(Arc<str>, serde_json::Value)>,
    Option<(Arc<str>, bool)>,
    usize,
);

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use super::{Group, read_ask, write_ask};
    use crate::cache::value::Stored;
    use crate::connector::Ask;

    #[test]
    fn an_ask_comes_back_as_it_was_written() {
        let ask = Ask {
            filter: vec![("statuses".into(), serde_json::json!(["OPEN"]))],
            sort: Some(("PLACED_AT".into(), true)),
            size: 26,
        };
        let back = read_ask(&write_ask(&ask));
        assert_eq!(
            (back.filter, back.sort, back.size),
            (ask.filter, ask.sort, ask.size)
        );
        assert_eq!(&*write_ask(&Ask::default()), "");
    }

    #[test]
    fn a_group_survives_the_cached_form() {
        let group = Arc::new(Group {
            total: Some(u64::MAX),
            ..Group::default()
        });
        assert_eq!(Stored::decode(&group.encode().unwrap()).ok(), Some(group));
    }
}
