//! The address that a token reply names for the calls that follow, and what keeps it from being anybody's.

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use crate::credential::CredentialError;

/// Where the token reply says the vendor is. Calls go there instead of `url`, whose path stays.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseUrlSettings {
    /// The path of the address in the reply, such as `instance_url`.
    pub path: String,
    /// The hosts that are believed: `api.example.com`, or `*.example.com` for all below it. A port other than the scheme's own
    /// is written too. Without this list a reply could send our credential anywhere.
    pub hosts: Vec<String>,
    /// Whether the address replaces all of `url`, its path too, as the `serverUrl` of a SOAP login does.
    #[serde(default)]
    pub whole: bool,
}

/// A checked rule for addresses.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) path: String,
    hosts: Vec<String>,
    whole: bool,
}

/// An address that was believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    url: Url,
    whole: bool,
}

impl Base {
    pub(crate) fn new(settings: &BaseUrlSettings) -> Result<Self, CredentialError> {
        for host in &settings.hosts {
            let plain = host.strip_prefix("*.").unwrap_or(host);
            let is_narrow = !host.starts_with("*.") || plain.contains('.');
            let (name, _) = plain.split_once(':').unwrap_or((plain, ""));
            if !is_narrow || plain.contains('*') || Host::parse(name).is_err() {
                return Err(CredentialError::HostPattern(host.clone()));
            }
        }
        if settings.hosts.is_empty() {
            return Err(CredentialError::NoHosts);
        }
        Ok(Self {
            path: settings.path.clone(),
            hosts: settings
                .hosts
                .iter()
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            whole: settings.whole,
        })
    }

    /// The address of a reply, when it is one that may be believed: https, unless the token came by http itself.
    pub(crate) fn read(&self, text: &str, token_url: &Url) -> Result<Moved, CredentialError> {
        let url = Url::parse(text).map_err(|_| CredentialError::BaseUrl)?;
        let is_safe =
            url.scheme() == "https" || (url.scheme() == "http" && token_url.scheme() == "http");
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_known = self.hosts.iter().any(|pattern| is_below(&url, pattern));
        if !is_safe || !is_plain || !is_known {
            return Err(CredentialError::BaseUrl);
        }
        Ok(Moved {
            url,
            whole: self.whole,
        })
    }
}

fn is_below(url: &Url, pattern: &str) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let (name, port) = match pattern.split_once(':') {
        Some((name, port)) => (name, port.parse::<u16>().ok()),
        None => (pattern, None),
    };
    let fits = match name.strip_prefix("*.") {
        // An address of numbers is below nothing.
        Some(parent) => host
            .strip_suffix(parent)
            .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
        None => host == name,
    };
    fits && url.port() == port
}

impl Moved {
    /// The address of a call, moved from the declared base to this one.
    pub(crate) fn apply(&self, call: &Url, declared: &Url) -> Url {
        let mut url = self.url.clone();
        let path = if self.whole {
            let below = call
                .path()
                .strip_prefix(declared.path())
                .unwrap_or_default();
            let base = self.url.path();
            if below.is_empty() {
                base.to_owned()
            } else {
                format!(
                    "{}/{}",
                    base.trim_end_matches('/'),
                    below.trim_start_matches('/')
                )
            }
        } else {
            call.path().to_owned()
        };
        url.set_path(&path);
        url.set_query(call.query());
        url.set_fragment(None);
        url
    }

    /// Whether a call names this address already.
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hosts: &[&str], address: &str, expected: bool) {
        let settings = BaseUrlSettings {
            path: "instance_url".into(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            whole: false,
        };
        let token = Url::parse("https://login.test/token").unwrap();
        let found = Base::new(&settings).unwrap().read(address, &token);
        assert_eq!(found.is_ok(), expected, "{address}");
    }

    #[test]
    fn only_declared_hosts_are_believed() {
        let below: &[&str] = &["*.my.example.com"];
        check(below, "https://acme.my.example.com", true);
        check(below, "https://ACME.my.example.com/x", true);
        check(below, "http://acme.my.example.com", false);
        check(below, "https://acme.my.example.com:8443", false);
        check(below, "https://my.example.com", false);
        check(below, "https://evilmy.example.com", false);
        check(below, "https://acme.my.example.com.evil.test", false);
        check(below, "https://a@acme.my.example.com", false);
        check(below, "https://169.254.169.254/", false);
        check(below, "file:///etc/passwd", false);
        check(below, "//acme.my.example.com", false);
        check(&["api.test:8443"], "https://api.test:8443", true);
    }

    #[test]
    fn a_pattern_that_fits_all_is_refused() {
        for pattern in ["*", "*.com", "a*.example.com", ""] {
            let settings = BaseUrlSettings {
                path: "x".into(),
                hosts: vec![pattern.into()],
                whole: false,
            };
            assert!(Base::new(&settings).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_call_moves_with_its_path_and_query() {
        let moved = |whole| Moved {
            url: Url::parse("https://b.test/soap/u/7").unwrap(),
            whole,
        };
        let declared = Url::parse("https://a.test/login/").unwrap();
        let call = Url::parse("https://a.test/login/x?y=1").unwrap();
        assert_eq!(
            moved(false).apply(&call, &declared).as_str(),
            "https://b.test/login/x?y=1"
        );
        assert_eq!(
            moved(true).apply(&call, &declared).as_str(),
            "https://b.test/soap/u/7/x?y=1"
        );
    }
}
