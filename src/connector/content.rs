//! What a record says, as one number.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::record::value::{Object, Value};
use crate::record::{CustomValue, Record};

/// Hash of what a record says, the same for equal content whatever order the vendor sent it in.
pub(crate) fn hash_of(record: &Record) -> Arc<str> {
    let mut hash = Sha256::new();
    for slot in &record.data.slots {
        hash_value(&mut hash, slot);
    }
    for (name, keys) in &record.links {
        hash_text(&mut hash, b'k', name);
        for key in keys {
            hash_text(&mut hash, b'v', key);
        }
    }
    for identifier in &record.identifiers {
        hash_text(
            &mut hash,
            b'i',
            identifier.namespace.as_deref().unwrap_or_default(),
        );
        hash_text(&mut hash, b'v', &identifier.normalized);
        hash.update([u8::from(identifier.verified == Some(true))]);
    }
    for custom in &record.custom {
        hash_text(&mut hash, b'c', &custom.key);
        hash_value(&mut hash, &custom.value);
    }
    hash.update([u8::from(record.deleted)]);
    hex::encode(hash.finalize().get(..16).unwrap_or_default()).into()
}

/// Hash of a part of what a record says: of these values, and of nothing beside them.
pub(crate) fn hash_of_part(data: &Object, custom: &[CustomValue], deleted: bool) -> Arc<str> {
    let mut hash = Sha256::new();
    // No part may look like the whole.
    hash_text(&mut hash, b'p', "");
    data.slots
        .iter()
        .for_each(|slot| hash_value(&mut hash, slot));
    for custom in custom {
        hash_text(&mut hash, b'c', &custom.key);
        hash_value(&mut hash, &custom.value);
    }
    hash.update([u8::from(deleted)]);
    hex::encode(hash.finalize().get(..16).unwrap_or_default()).into()
}

fn hash_text(hash: &mut Sha256, kind: u8, text: &str) {
    hash.update([kind]);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

fn hash_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(truth) => hash.update([b'b', u8::from(*truth)]),
        Value::Int(number) => hash_text(hash, b'#', &number.to_string()),
        Value::Float(number) => hash_text(hash, b'#', &number.to_string()),
        Value::Text(text) => hash_text(hash, b't', text),
        Value::Json(text) => hash_text(hash, b'j', text),
        Value::List(items) => {
            hash.update([b'l']);
            hash.update((items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| hash_value(hash, item));
        }
        Value::Object(object) => {
            hash.update([b'o']);
            object.slots.iter().for_each(|slot| hash_value(hash, slot));
        }
    }
}
