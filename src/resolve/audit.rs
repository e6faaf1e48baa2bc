//! The audit log: who read which entities by which operation, as structured events without personal data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::record::value::TypeId;
use crate::resolve::Run;
use crate::resolve::item::Entity;

/// How many ids of one type one event names; the count is of all.
const IDS_MAX: usize = 1_000;
/// How many ids one request remembers.
const REMEMBERED_MAX: usize = 100_000;

/// The entities that one request read.
#[derive(Debug, Default)]
pub struct Reads {
    by_type: BTreeMap<TypeId, BTreeSet<String>>,
    count: usize,
}

impl Reads {
    /// Notes entities whose values go into an answer.
    pub fn note(&mut self, entities: &[Arc<Entity>]) {
        for entity in entities
            .iter()
            .take(REMEMBERED_MAX.saturating_sub(self.count))
        {
            let anchor = entity.anchor();
            let id = format!(
                "{}/{}/{}",
                anchor.source,
                anchor.remote_type,
                without_address(&anchor.remote_id)
            );
            if self.by_type.entry(entity.ty).or_default().insert(id) {
                self.count += 1;
            }
        }
    }
}

/// What names something, unless it is an e-mail address: then a digest that names it as well.
fn without_address(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let digest = hex::encode(Sha256::digest(text.to_lowercase().as_bytes()));
    format!("sha256:{}", digest.get(..16).unwrap_or_default())
}

/// Writes what a request has read, one event for each type, under the target `tributary::audit`.
pub fn tell(run: &Run, operation: &str, request_id: &str) {
    let reads = run.take_reads();
    for (ty, ids) in reads.by_type {
        let name = run.catalog().get(ty).map_or("", |def| &*def.name);
        let shown: Vec<&str> = ids.iter().take(IDS_MAX).map(String::as_str).collect();
        tracing::info!(
            target: "tributary::audit",
            event = "read",
            caller.issuer = %run.caller.issuer,
            caller.subject = %without_address(&run.caller.subject),
            operation.name = operation,
            request.id = request_id,
            entity.type = name,
            entity.count = ids.len(),
            entity.ids = %shown.join(" "),
            "entities were read"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::without_address;

    #[test]
    fn an_address_is_no_name() {
        assert_eq!(without_address("9007"), "9007");
        let hidden = without_address("Ana@acme.io");
        assert!(hidden.starts_with("sha256:") && !hidden.contains('@'));
        assert_eq!(hidden, without_address("ana@acme.io"));
    }
}
