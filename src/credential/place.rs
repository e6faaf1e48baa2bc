//! Where a token goes in a call: headers, query parameters, cookies, a block of the SOAP header.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::credential::CredentialError;
use crate::credential::header::sensitive;
use crate::credential::text::{Text, plain};
use crate::protocol::soap::call::escape_attribute;
use crate::record::secret::Secret;

/// Where a token goes; without any entry it is the header `Authorization: Bearer …`. The values are texts with `{{ token }}`
/// and, in the same braces, paths of the token reply, such as `{{ instance_url }}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlaceSettings {
    /// Headers by name, as in `{ Authorization: "token {{ token }}" }`.
    pub header: BTreeMap<String, Secret>,
    /// Query parameters by name.
    pub query: BTreeMap<String, Secret>,
    /// Cookies by name.
    pub cookie: BTreeMap<String, Secret>,
    /// XML for the SOAP header; values are escaped.
    pub soap: Option<Secret>,
}

/// A checked place.
#[derive(Debug)]
pub(crate) struct Place {
    headers: Vec<(HeaderName, Text)>,
    query: Vec<(String, Text)>,
    cookies: Vec<(String, Text)>,
    soap: Option<Text>,
}

/// What is added to calls while a token is used.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    headers: Vec<(HeaderName, HeaderValue)>,
    query: Vec<(String, Secret)>,
    block: Option<Secret>,
}

/// A call that a credential is added to.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// The address.
    pub url: &'a mut Url,
    /// The headers.
    pub headers: &'a mut HeaderMap,
    /// The body.
    pub body: &'a mut Bytes,
    /// Where in the body a block of the SOAP header goes; none when the call is no SOAP.
    pub block_at: Option<usize>,
}

impl Outgoing<'_> {
    /// Puts XML into the SOAP header; a call that is no SOAP stays as it is, which the check of the file rules out.
    pub(crate) fn insert_block(&mut self, xml: &str) {
        let Some((before, after)) = self.block_at.and_then(|at| self.body.split_at_checked(at))
        else {
            return;
        };
        let mut body = Vec::with_capacity(self.body.len() + xml.len());
        body.extend_from_slice(before);
        body.extend_from_slice(xml.as_bytes());
        body.extend_from_slice(after);
        *self.body = body.into();
    }
}

impl Place {
    pub(crate) fn new(settings: &PlaceSettings) -> Result<Self, CredentialError> {
        let mut headers = Vec::new();
        for (name, text) in &settings.header {
            let known = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| CredentialError::HeaderName(name.clone()))?;
            headers.push((known, Text::parse(text)?));
        }
        let texts = |table: &BTreeMap<String, Secret>| {
            let pairs = table.iter();
            pairs
                .map(|(name, text)| Ok((name.clone(), Text::parse(text)?)))
                .collect::<Result<Vec<_>, CredentialError>>()
        };
        let query = texts(&settings.query)?;
        let cookies = texts(&settings.cookie)?;
        let soap = settings.soap.as_ref().map(Text::parse).transpose()?;
        if headers.is_empty() && query.is_empty() && cookies.is_empty() && soap.is_none() {
            let bearer = Text::parse(&Secret::new("Bearer {{ token }}"))?;
            headers.push((header::AUTHORIZATION, bearer));
        }
        Ok(Self {
            headers,
            query,
            cookies,
            soap,
        })
    }

    /// Whether it needs a SOAP envelope.
    pub(crate) fn needs_soap(&self) -> bool {
        self.soap.is_some()
    }

    /// Whether all it sends is the bearer token's own header.
    pub(crate) fn is_bearer(&self) -> bool {
        let mut names = self.headers.iter().flat_map(|(_, text)| text.names());
        names.all(|name| name == "token") && self.query.is_empty() && self.cookies.is_empty()
    }

    /// Fills the texts from a token reply.
    pub(crate) fn fill(
        &self,
        value: &dyn Fn(&str) -> Option<Secret>,
    ) -> Result<Proof, CredentialError> {
        let mut proof = Proof::default();
        for (name, text) in &self.headers {
            let filled = text.fill(value, plain)?;
            proof
                .headers
                .push((name.clone(), sensitive(filled.expose())?));
        }
        for (name, text) in &self.query {
            proof.query.push((name.clone(), text.fill(value, plain)?));
        }
        let mut pairs = Vec::new();
        for (name, text) in &self.cookies {
            let value = text.fill(value, plain)?;
            if value.expose().contains([';', ',', ' ', '"']) {
                return Err(CredentialError::HeaderValue);
            }
            pairs.push(format!("{name}={}", value.expose()));
        }
        if !pairs.is_empty() {
            let value = sensitive(&pairs.join("; "))?;
            proof.headers.push((header::COOKIE, value));
        }
        if let Some(text) = &self.soap {
            proof.block = Some(text.fill(value, escape_attribute)?);
        }
        Ok(proof)
    }
}

impl Proof {
    /// Adds it to a call.
    pub(crate) fn apply(&self, call: &mut Outgoing<'_>) {
        for (name, value) in &self.headers {
            call.headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.query {
            call.url.query_pairs_mut().append_pair(name, value.expose());
        }
        if let Some(block) = &self.block {
            call.insert_block(block.expose());
        }
    }
}
