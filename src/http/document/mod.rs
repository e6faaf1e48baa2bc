//! Documents that callers name instead of sending them: trusted ones from files, and those that clients brought once.

pub mod automatic;
pub mod manifest;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::error::Code;

use crate::http::refusal::Refusal;
use automatic::Automatic;

/// The longest id of a document.
const ID_BYTES_MAX: usize = 256;

/// The documents of one gateway.
#[derive(Debug)]
pub struct Documents {
    trusted: HashMap<String, Arc<str>>,
    automatic: Option<Automatic>,
}

/// The document of a request, as sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Its text.
    pub query: Option<String>,
    /// The id of a trusted document.
    pub id: Option<String>,
    /// The digest of a document in hexadecimal, as automatic persisted queries have it.
    pub digest: Option<String>,
}

impl Sent {
    /// Takes the document out of a request's parameters.
    pub(crate) fn take(members: &mut Map<String, Value>) -> Result<Self, Refusal> {
        let bad = |message: &str| Refusal::new(Code::BadRequest, message);
        let mut text = |name: &str, message: &str| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(bad(message)),
        };
        let query = text("query", "`query` must be a string that is not empty")?;
        let id = text(
            "documentId",
            "`documentId` must be a string that is not empty",
        )?;
        let digest = members
            .get("extensions")
            .and_then(|extensions| extensions.get("persistedQuery"))
            .map(digest_of)
            .transpose()?;
        if id.is_some() && query.is_some() {
            return Err(bad("a request has either `query` or `documentId`"));
        }
        if id.is_none() && query.is_none() && digest.is_none() {
            return Err(bad("`query` must be a string that is not empty"));
        }
        if id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
            return Err(bad("`documentId` is too long"));
        }
        Ok(Self { query, id, digest })
    }
}

fn digest_of(persisted: &Value) -> Result<String, Refusal> {
    let is_one = persisted.get("version") == Some(&Value::from(1));
    let digest = persisted.get("sha256Hash").and_then(Value::as_str);
    let digest = digest.filter(|digest| {
        is_one && digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    digest.map(str::to_ascii_lowercase).ok_or_else(|| {
        let message = "`extensions.persistedQuery` must have `version` 1 and a `sha256Hash`";
        Refusal::new(Code::BadRequest, message)
    })
}

impl Documents {
    /// Trusted documents by id, and whatever clients bring when that is allowed. A trusted document can be named by its
    /// digest as well, since that is its text's own name.
    pub fn new(
        trusted: impl IntoIterator<Item = (String, String)>,
        automatic: Option<Automatic>,
    ) -> Self {
        let mut by_id = HashMap::new();
        for (id, text) in trusted {
            let text: Arc<str> = text.into();
            by_id.insert(format!("sha256:{}", digest(&text)), Arc::clone(&text));
            by_id.insert(id, text);
        }
        Self {
            trusted: by_id,
            automatic,
        }
    }

    /// The text of the document that a request means.
    pub(crate) async fn text(&self, sent: Sent, is_trusted_only: bool) -> Result<String, Refusal> {
        if let Some(id) = &sent.id {
            let text = self.trusted.get(id).map(ToString::to_string);
            let message = "there is no trusted document of that id";
            return text.ok_or_else(|| Refusal::new(Code::DocumentNotFound, message));
        }
        let digest = match (sent.digest, &sent.query) {
            (Some(sent), Some(query)) if sent != digest(query) => {
                let message = "the hash is not that of the query";
                return Err(Refusal::new(Code::BadRequest, message));
            }
            (Some(digest), query) => {
                self.bring(&digest, query.as_deref(), is_trusted_only).await;
                digest
            }
            (None, Some(query)) if is_trusted_only => digest(query),
            (None, query) => return Ok(query.clone().unwrap_or_default()),
        };
        if let Some(trusted) = self.trusted.get(&format!("sha256:{digest}")) {
            return Ok(trusted.to_string());
        }
        if is_trusted_only {
            let message = "this caller may run trusted documents only";
            return Err(Refusal::new(Code::DocumentNotTrusted, message));
        }
        if let Some(query) = sent.query {
            return Ok(query);
        }
        let known = match &self.automatic {
            Some(automatic) => automatic.find(&digest).await,
            None => None,
        };
        // The words are those that clients of this protocol wait for.
        known.ok_or_else(|| Refusal::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound"))
    }

    /// Keeps a document that came with its digest.
    async fn bring(&self, digest: &str, query: Option<&str>, is_trusted_only: bool) {
        if let (Some(automatic), Some(query), false) = (&self.automatic, query, is_trusted_only) {
            automatic.keep(digest, query).await;
        }
    }
}

/// The SHA-256 of a text in hexadecimal.
fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
