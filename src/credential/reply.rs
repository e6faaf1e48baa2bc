//! What a token reply means: the token at its path, how long it lives, where it goes, what else is kept of it.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use url::Url;

use crate::credential::CredentialError;
use crate::credential::base::{Base, Moved};
use crate::credential::place::{Place, Proof};
use crate::protocol::limits::Limits;
use crate::protocol::xml::{self, Element};
use crate::record::secret::Secret;

/// A token that was obtained.
#[derive(Debug, Clone)]
pub struct Token {
    pub(crate) proof: Proof,
    /// Where calls go from now on, when the reply says so.
    pub(crate) moved: Option<Moved>,
    /// How long after its arrival it is to be replaced; none means when the vendor refuses it.
    pub renew_after: Option<Duration>,
    /// The refresh token that takes the place of the one just used.
    pub(crate) refresh: Option<Secret>,
}

/// How a reply is read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) token: String,
    pub(crate) lifetime_path: Option<String>,
    pub(crate) early: Duration,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) place: Place,
    pub(crate) base: Option<Base>,
    /// The endpoint, whose scheme the base must not fall below.
    pub(crate) url: Url,
    /// Whether the reply is that of an OAuth token endpoint.
    pub(crate) is_oauth: bool,
}

enum Document {
    Json(Value),
    Xml(Element),
    Text(Secret),
}

impl Reading {
    pub(crate) fn read(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Token, CredentialError> {
        if !status.is_success() {
            return Err(CredentialError::Refused(status));
        }
        let document = Document::read(body, self.is_oauth)?;
        let value = |path: &str| match path.strip_prefix("header.") {
            Some(name) => headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(Secret::new),
            None if path == "cookies" => cookies(headers),
            None => document.at(path),
        };
        let token = value(&self.token).filter(|token| !token.is_empty());
        let token = token.ok_or(CredentialError::Reply)?;
        let kind = value("token_type").filter(|_| self.is_oauth && self.place.is_bearer());
        if kind.is_some_and(|kind| !kind.expose().eq_ignore_ascii_case("bearer")) {
            return Err(CredentialError::Reply);
        }
        let lookup = |name: &str| match name {
            "token" => Some(token.clone()),
            path => value(path),
        };
        let moved = match &self.base {
            Some(base) => {
                let text =
                    value(&base.path).ok_or_else(|| CredentialError::Absent(base.path.clone()))?;
                Some(base.read(text.expose(), &self.url)?)
            }
            None => None,
        };
        let refresh = value("refresh_token").filter(|token| self.is_oauth && !token.is_empty());
        Ok(Token {
            proof: self.place.fill(&lookup)?,
            moved,
            renew_after: self.renew_after(&value)?,
            refresh,
        })
    }

    fn renew_after(
        &self,
        value: &dyn Fn(&str) -> Option<Secret>,
    ) -> Result<Option<Duration>, CredentialError> {
        let told = self.lifetime_path.as_deref().and_then(value);
        let told = match told {
            Some(text) => {
                let seconds: u32 = text
                    .expose()
                    .trim()
                    .parse()
                    .map_err(|_| CredentialError::Reply)?;
                Some(Duration::from_secs(seconds.into()))
            }
            None => None,
        };
        let lifetime = told.or(self.lifetime);
        Ok(lifetime.map(|life| life.saturating_sub(self.early.min(life / 2))))
    }
}

impl Document {
    fn read(body: &[u8], must_be_json: bool) -> Result<Self, CredentialError> {
        match serde_json::from_slice(body) {
            Ok(value @ Value::Object(_)) => return Ok(Self::Json(value)),
            Ok(_) | Err(_) if must_be_json => return Err(CredentialError::Reply),
            Ok(value) => return Ok(Self::Json(value)),
            Err(_) => {}
        }
        if body.trim_ascii_start().starts_with(b"<") {
            let root = xml::decode(body, None, &Limits::default());
            return root.map(Self::Xml).map_err(|_| CredentialError::Reply);
        }
        let text = std::str::from_utf8(body).map_err(|_| CredentialError::Reply)?;
        Ok(Self::Text(Secret::new(text.trim())))
    }

    /// The text at a path; the path `body` is all of a reply that is a single text.
    fn at(&self, path: &str) -> Option<Secret> {
        match self {
            Self::Text(text) => (path == "body").then(|| text.clone()),
            Self::Json(root) if !root.is_object() && path == "body" => scalar(root),
            Self::Json(root) => {
                let mut at = root;
                for name in path.split('.') {
                    at = match at {
                        Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
                        other => other.get(name)?,
                    };
                }
                scalar(at)
            }
            Self::Xml(root) => {
                let child = |of: &Element, name: &str| {
                    of.elements().find(|child| &*child.local == name).cloned()
                };
                let mut at = match &*root.local {
                    "Envelope" => child(root, "Body")?,
                    _ => root.clone(),
                };
                for name in path.split('.') {
                    at = child(&at, name)?;
                }
                Some(Secret::new(at.text().trim()))
            }
        }
    }
}

fn scalar(value: &Value) -> Option<Secret> {
    match value {
        Value::String(text) => Some(Secret::new(text.as_str())),
        Value::Number(number) => Some(Secret::new(number.to_string())),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The cookies that a reply sets, as the header that sends them back.
fn cookies(headers: &HeaderMap) -> Option<Secret> {
    let set = headers.get_all(header::SET_COOKIE).iter();
    let pairs: Vec<&str> = set
        .filter_map(|value| value.to_str().ok()?.split(';').next())
        .map(str::trim)
        .collect();
    (!pairs.is_empty()).then(|| Secret::new(pairs.join("; ")))
}
