//! `tributary token`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{TimeDelta, Utc};
use clap::Args;

use crate::app::{load, settings};
use crate::auth::mint::{Order, mint};
use crate::cli::{CommandError, demo, print};
use crate::config::Config;
use crate::config::diagnostic::Diagnostics;
use crate::config::interpolate::Environment;
use crate::config::span::Span;
use crate::schema::Catalog;

/// Options of `token`.
#[derive(Debug, Args)]
pub struct Token {
    /// Whom the token names.
    #[arg(long, default_value = "developer")]
    subject: String,
    /// A scope it grants; may be given several times. Without any, every scope of the graph.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// A role it grants; may be given several times.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// How long it is valid, as `8h`.
    #[arg(long, value_name = "TIME", default_value = "8h")]
    ttl: Span,
    /// The configuration whose first issuer with a secret signs it; without one, the demo's.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Token {
    /// Prints a token, and nothing else.
    pub fn run(self) -> Result<(), CommandError> {
        let config = match &self.config {
            Some(path) => {
                Config::load(path, &Environment::process())
                    .map_err(|problems| CommandError::Diagnostics(Box::new(problems)))?
                    .config
            }
            None => demo::config()?,
        };
        let scopes = if self.scope.is_empty() && self.role.is_empty() {
            let mut diagnostics = Diagnostics::new();
            let catalog = load::catalog(&config.schema.extensions, &mut diagnostics)
                .ok_or_else(|| CommandError::Diagnostics(Box::new(diagnostics)))?;
            all_scopes(&catalog)
        } else {
            self.scope
        };
        let token = sign(&config, self.subject, scopes, self.role, self.ttl)?;
        print(&format!("{token}\n"))
    }
}

/// Signs a token with the first issuer that has a secret.
pub(crate) fn sign(
    config: &Config,
    subject: String,
    scopes: Vec<String>,
    roles: Vec<String>,
    ttl: Span,
) -> Result<String, CommandError> {
    let auth = settings::auth(config);
    let issuer = auth
        .issuers
        .iter()
        .find(|issuer| issuer.secret.is_some())
        .map(|issuer| issuer.issuer.clone())
        .ok_or_else(|| {
            CommandError::plain("no issuer of the configuration has a `secret` to sign with")
        })?;
    let order = Order {
        issuer: Some(issuer),
        audience: None,
        subject,
        tenant: None,
        scopes,
        roles,
        ttl: TimeDelta::from_std(ttl.0)
            .map_err(|error| CommandError::because("`--ttl` is too long", error))?,
    };
    mint(&auth, &order, Utc::now())
        .map_err(|error| CommandError::because("the token can't be made", error))
}

/// Every scope that the graph asks for, and the one that bypasses the cache.
pub(crate) fn all_scopes(catalog: &Catalog) -> Vec<String> {
    let mut scopes = BTreeSet::from(["cache:bypass".to_owned()]);
    for def in catalog.types() {
        scopes.extend(def.requires.iter().flatten().cloned());
        if let Some((_, object)) = catalog.object(&def.name) {
            scopes.extend(
                object
                    .fields
                    .iter()
                    .flat_map(|field| field.requires.iter().flatten().cloned()),
            );
        }
    }
    scopes.into_iter().collect()
}
