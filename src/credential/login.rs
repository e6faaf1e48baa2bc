//! A call that logs in and gives what the calls after it carry: a token, a session id, cookies.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::config::span::Span;
use crate::credential::CredentialError;
use crate::credential::base::{Base, BaseUrlSettings};
use crate::credential::basic::{BasicSettings, authorization};
use crate::credential::header::sensitive;
use crate::credential::place::{Place, PlaceSettings};
use crate::credential::reply::Reading;
use crate::credential::session::{Asking, Session, TokenRequest, address};
use crate::credential::text::Text;
use crate::protocol::soap::call::escape_attribute;
use crate::record::secret::Secret;

/// A login as written. At most one of `json`, `form` and `xml` is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginSettings {
    /// The address that is called.
    pub url: String,
    /// The method.
    #[serde(default)]
    pub method: LoginMethod,
    /// Headers of the call, such as `SOAPAction`.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// User name and password of the call itself (RFC 7617), for vendors that want them there.
    #[serde(default)]
    pub basic: Option<BasicSettings>,
    /// The members of a JSON body; all are texts.
    #[serde(default)]
    pub json: BTreeMap<String, Secret>,
    /// The fields of a form.
    #[serde(default)]
    pub form: BTreeMap<String, Secret>,
    /// An XML body, such as a whole SOAP envelope, with `{{ name }}` where a secret goes.
    #[serde(default)]
    pub xml: Option<Secret>,
    /// The secrets of `xml` by name; they are escaped.
    #[serde(default)]
    pub values: BTreeMap<String, Secret>,
    /// Where the reply has the token: a path such as `data.token` (in SOAP from the first element of the body on), `body` when
    /// the reply is nothing else, `header.NAME`, or `cookies` for all cookies that it sets.
    pub token: String,
    /// Where the reply has the seconds that the token lives, when it says so.
    #[serde(default)]
    pub expires_in: Option<String>,
    /// How long before its end a token is replaced; never more than half of its life.
    #[serde(default = "a_minute")]
    pub early: Span,
    /// How long a token lives when the reply does not say; without it, until the vendor refuses the token.
    #[serde(default)]
    pub lifetime: Option<Span>,
    /// Where the token goes in calls; the header `Authorization: Bearer …` when absent.
    #[serde(default)]
    pub send_as: PlaceSettings,
    /// Where the reply says the vendor is.
    #[serde(default)]
    pub base_url: Option<BaseUrlSettings>,
}

fn a_minute() -> Span {
    Span(Duration::from_secs(60))
}

/// The method of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// POST.
    #[default]
    Post,
    /// GET.
    Get,
}

/// A login ready to be sent.
#[derive(Debug)]
pub(crate) struct Login {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Secret,
}

impl LoginSettings {
    pub(crate) fn session(&self) -> Result<Session, CredentialError> {
        let (kind, body) = self.body()?;
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(basic) = &self.basic {
            let value = authorization(basic.username.expose(), basic.password.expose())?;
            headers.insert(header::AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            let known = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| CredentialError::HeaderName(name.clone()))?;
            headers.insert(known, sensitive(value.expose())?);
        }
        let url = address(&self.url)?;
        let reading = Reading {
            token: self.token.clone(),
            lifetime_path: self.expires_in.clone(),
            early: self.early.0,
            lifetime: self.lifetime.map(|span| span.0),
            place: Place::new(&self.send_as)?,
            base: self.base_url.as_ref().map(Base::new).transpose()?,
            url: url.clone(),
            is_oauth: false,
        };
        let login = Login {
            method: match self.method {
                LoginMethod::Post => Method::POST,
                LoginMethod::Get => Method::GET,
            },
            url,
            headers,
            body: body.clone(),
        };
        // What a login gives may be in headers, which are not shared.
        Ok(Session::new(
            reading,
            Asking::Login(Box::new(login)),
            &[&body],
            false,
        ))
    }

    fn body(&self) -> Result<(Option<&'static str>, Secret), CredentialError> {
        match (self.json.is_empty(), self.form.is_empty(), &self.xml) {
            (true, true, None) => Ok((None, Secret::new(""))),
            (false, true, None) => {
                let members: BTreeMap<&str, &str> = self
                    .json
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.expose()))
                    .collect();
                let text =
                    serde_json::to_string(&members).map_err(|_| CredentialError::Template)?;
                Ok((Some("application/json"), Secret::new(text)))
            }
            (true, false, None) => {
                let mut form = Serializer::new(String::new());
                for (name, value) in &self.form {
                    form.append_pair(name, value.expose());
                }
                let text = form.finish();
                Ok((Some("application/x-www-form-urlencoded"), Secret::new(text)))
            }
            (true, true, Some(xml)) => {
                let value = |name: &str| self.values.get(name).cloned();
                let text = Text::parse(xml)?.fill(value, escape_attribute)?;
                Ok((Some("text/xml; charset=utf-8"), text))
            }
            _ => Err(CredentialError::LoginBody),
        }
    }
}

impl Login {
    pub(crate) fn request(&self) -> Result<TokenRequest, CredentialError> {
        Ok(TokenRequest {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Bytes::copy_from_slice(self.body.expose().as_bytes()),
        })
    }
}
