//! The grants as written in a connector file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::span::Span;
use crate::credential::CredentialError;
use crate::credential::assertion::{Assertion, AssertionSettings};
use crate::credential::base::{Base, BaseUrlSettings};
use crate::credential::oauth2::{Client, ClientAuth, Grant, Parts};
use crate::credential::place::{Place, PlaceSettings};
use crate::credential::reply::Reading;
use crate::credential::session::{Asking, Session};
use crate::record::secret::Secret;

fn a_minute() -> Span {
    Span(Duration::from_secs(60))
}

fn yes() -> bool {
    true
}

/// Makes the settings of one grant: the keys that all grants have, after those of its own. `serde(flatten)` would do the same
/// but loses the places of mistakes.
macro_rules! grant {
    ($(#[$about:meta])* $name:ident, $grant:expr, { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The address of the token endpoint.
            pub token_url: String,
            $($own)*
            /// The client's id.
            #[serde(default)]
            pub client_id: Secret,
            /// The client's secret.
            #[serde(default)]
            pub client_secret: Secret,
            /// The signed statement, for `client_auth: assertion` and for the grant `jwt_bearer`.
            #[serde(default)]
            pub assertion: Option<AssertionSettings>,
            /// The scope to ask for, when one is needed.
            #[serde(default)]
            pub scope: String,
            /// Further parameters of the token request, such as `audience`.
            #[serde(default)]
            pub params: BTreeMap<String, Secret>,
            /// How long before its end a token is replaced; never more than half of its life.
            #[serde(default = "a_minute")]
            pub early: Span,
            /// How long a token lives when the endpoint does not say; without it, until the vendor refuses the token.
            #[serde(default)]
            pub lifetime: Option<Span>,
            /// Where the token goes in calls; the header `Authorization: Bearer …` when absent.
            #[serde(default)]
            pub send_as: PlaceSettings,
            /// Where the token reply says the vendor is.
            #[serde(default)]
            pub base_url: Option<BaseUrlSettings>,
            /// Whether replicas share the token through Redis, where it lies encrypted with a key made of the credential.
            #[serde(default = "yes")]
            pub shared: bool,
        }

        impl $name {
            fn client(&self) -> Result<Client, CredentialError> {
                Client::new(Parts {
                    grant: $grant,
                    token_url: &self.token_url,
                    client_auth: self.client_auth,
                    client_id: &self.client_id,
                    client_secret: &self.client_secret,
                    assertion: self.assertion.as_ref().map(Assertion::new).transpose()?,
                    scope: &self.scope,
                    params: &self.params,
                })
            }

            fn reading(&self, client: &Client) -> Result<Reading, CredentialError> {
                Ok(Reading {
                    token: "access_token".to_owned(),
                    lifetime_path: Some("expires_in".to_owned()),
                    early: self.early.0,
                    lifetime: self.lifetime.map(|span| span.0),
                    place: Place::new(&self.send_as)?,
                    base: self.base_url.as_ref().map(Base::new).transpose()?,
                    url: client.url.clone(),
                    is_oauth: true,
                })
            }
        }
    };
}

grant!(
    /// A client that acts for itself, as written.
    ClientCredentialsSettings, Grant::ClientCredentials, {
        /// Where the client proves itself.
        #[serde(default)]
        pub client_auth: ClientAuth,
    }
);

grant!(
    /// A client that acts for a user who agreed once, as written.
    RefreshTokenSettings, Grant::RefreshToken, {
        /// Where the client proves itself.
        #[serde(default)]
        pub client_auth: ClientAuth,
        /// The refresh token to start with. When the vendor gives a new one, that is kept and used from then on; a changed
        /// start token, client id or secret makes the gateway forget what it kept.
        pub refresh_token: Secret,
        /// The file that keeps the newest refresh token over a restart, encrypted and readable by its owner only. With Redis
        /// it is kept there as well. Without both, a vendor that rotates refresh tokens locks the gateway out at a restart.
        #[serde(default)]
        pub state_file: Option<PathBuf>,
    }
);

fn no_auth() -> ClientAuth {
    ClientAuth::None
}

grant!(
    /// A client that shows a signed statement and gets a token for it, as written.
    JwtBearerSettings, Grant::JwtBearer, {
        /// Where the client proves itself beside the statement.
        #[serde(default = "no_auth")]
        pub client_auth: ClientAuth,
    }
);

impl ClientCredentialsSettings {
    pub(crate) fn session(&self) -> Result<Session, CredentialError> {
        let client = self.client()?;
        let secrets = [&self.client_id, &self.client_secret];
        Ok(Session::new(
            self.reading(&client)?,
            Asking::Oauth2(Box::new(client)),
            &secrets,
            self.shared,
        ))
    }
}

impl JwtBearerSettings {
    pub(crate) fn session(&self) -> Result<Session, CredentialError> {
        let client = self.client()?;
        let key = self.assertion.as_ref().map(|assertion| &assertion.key);
        let secrets: Vec<&Secret> = [&self.client_id, &self.client_secret]
            .into_iter()
            .chain(key)
            .collect();
        Ok(Session::new(
            self.reading(&client)?,
            Asking::Oauth2(Box::new(client)),
            &secrets,
            self.shared,
        ))
    }
}

impl RefreshTokenSettings {
    pub(crate) fn session(&self) -> Result<Session, CredentialError> {
        if self.refresh_token.is_empty() {
            return Err(CredentialError::RefreshToken);
        }
        let client = self.client()?;
        let secrets = [&self.client_id, &self.client_secret, &self.refresh_token];
        let mut session = Session::new(
            self.reading(&client)?,
            Asking::Oauth2(Box::new(client)),
            &secrets,
            self.shared,
        );
        session.refresh = Some(self.refresh_token.clone());
        session.state_file.clone_from(&self.state_file);
        Ok(session)
    }
}
