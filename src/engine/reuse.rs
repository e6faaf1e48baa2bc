//! Whole answers given again: to the same plan, variables and authorisation view, while every record they were made of
//! stands.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use moka::sync::Cache;

use crate::fetch::loader::Ground;
use crate::resolve::policy::view::ViewKey;
use crate::transport::charge::Charge;

/// What an answer depends on beside records. The view is all of a caller that can decide an answer, so that callers who
/// may see the same share answers, and others never do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnswerKey {
    /// Number of the plan.
    pub plan: u64,
    /// The coerced variables, as canonical text.
    pub variables: String,
    /// The caller's authorisation view.
    pub view: ViewKey,
}

#[derive(Debug)]
struct Kept {
    body: Bytes,
    ground: Ground,
    savings: Vec<Charge>,
}

/// The answers that may be given again, bounded by the memory they take.
#[derive(Debug)]
pub struct Answers(Cache<AnswerKey, Arc<Kept>>);

/// What an answer takes beside its bytes: its table slot and its times.
const ANSWER_OVERHEAD_BYTES: usize = 256;
/// What each record that an answer rests on adds.
const PART_BYTES: usize = 8;

impl Answers {
    /// An empty store.
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |key: &AnswerKey, kept: &Arc<Kept>| {
            let parts = kept.ground.parts.len().saturating_mul(PART_BYTES);
            let savings = kept.savings.len().saturating_mul(size_of::<Charge>());
            let bytes = [kept.body.len(), parts, key.variables.len(), savings];
            let bytes = bytes.iter().sum::<usize>() + ANSWER_OVERHEAD_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(
            Cache::builder()
                .max_capacity(bytes_max)
                .weigher(weigh)
                .build(),
        )
    }

    /// The answer, when it is still true, and what giving it again saves.
    pub fn get(&self, key: &AnswerKey, now: DateTime<Utc>) -> Option<(Bytes, Vec<Charge>)> {
        let kept = self.0.get(key)?;
        let is_fresh = kept.ground.until.is_none_or(|until| now < until);
        if is_fresh && !kept.ground.parts.iter().any(|part| part.has_ended()) {
            return Some((kept.body.clone(), kept.savings.clone()));
        }
        self.0.invalidate(key);
        None
    }

    /// Keeps an answer.
    pub fn put(&self, key: AnswerKey, body: Bytes, ground: Ground, savings: Vec<Charge>) {
        let kept = Kept {
            body,
            ground,
            savings,
        };
        self.0.insert(key, Arc::new(kept));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use bytes::Bytes;
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{AnswerKey, Answers};
    use crate::cache::validity::Validity;
    use crate::fetch::loader::Ground;
    use crate::resolve::policy::view::ViewKey;

    fn key(variables: &str, view: u8) -> AnswerKey {
        AnswerKey {
            plan: 7,
            variables: variables.to_owned(),
            view: ViewKey([view; 32]),
        }
    }

    fn noon() -> DateTime<Utc> {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_answer_ends_with_the_first_of_its_records() {
        let answers = Answers::new(1 << 20);
        let (left, right) = (Validity::default(), Validity::default());
        let keep = |parts: Vec<Validity>| {
            let until = Some(noon() + TimeDelta::seconds(60));
            let ground = Ground { parts, until };
            answers.put(key("", 1), Bytes::from_static(b"{}"), ground, Vec::new());
        };
        let get = |seconds| {
            let kept = answers.get(&key("", 1), noon() + TimeDelta::seconds(seconds));
            kept.map(|(body, _)| body)
        };
        keep(vec![left.clone(), right.clone()]);
        assert_eq!(get(59).as_deref(), Some(&b"{}"[..]));
        assert_eq!(get(60), None, "no longer fresh");
        keep(vec![left, right.clone()]);
        right.end();
        assert_eq!(get(0), None, "replaced");
    }

    #[test]
    fn other_variables_and_other_views_have_other_answers() {
        let answers = Answers::new(1 << 20);
        let body = Bytes::from_static(b"1");
        answers.put(key("x", 1), body, Ground::default(), Vec::new());
        assert!(answers.get(&key("x", 1), noon()).is_some());
        assert!(answers.get(&key("y", 1), noon()).is_none());
        assert!(answers.get(&key("x", 2), noon()).is_none());
    }
}
