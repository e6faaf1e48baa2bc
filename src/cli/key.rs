//! `tributary key`: makes, lists and revokes API keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};

use crate::auth::api_key::{ApiKey, Holder};
use crate::auth::key_file;
use crate::auth::shared_keys::SharedKeys;
use crate::cli::{CommandError, print};
use crate::config::Config;
use crate::config::interpolate::Environment;
use crate::config::span::Span;

/// The longest that a key may be valid.
const DAYS_MAX: i64 = 3660;

/// Options of `key`.
#[derive(Debug, Args)]
pub struct Key {
    /// The configuration, whose `auth.keys_file` holds the keys.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "tributary.yaml",
        global = true
    )]
    config: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it; it can't be shown again.
    Create(Create),
    /// List all keys, without their secrets.
    List,
    /// End a key at once.
    Revoke {
        /// The id of the key, or the key itself.
        id: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// What people call the key.
    #[arg(long)]
    name: String,
    /// A role it has; may be given several times.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// A scope it has beside those of its roles; may be given several times.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The tenant of its holder.
    #[arg(long)]
    tenant: Option<String>,
    /// What rules on records read of its holder, as `partner=acme`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, String)>,
    /// How long it is valid, as `90d`.
    #[arg(long, value_name = "TIME", default_value = "90d")]
    ttl: Span,
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("it must be `NAME=VALUE`")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Key {
    /// Changes or reads the keys.
    pub async fn run(self) -> Result<(), CommandError> {
        let config = Config::load(&self.config, &Environment::process())
            .map_err(|problems| CommandError::Diagnostics(Box::new(problems)))?
            .config;
        let file = config.auth.keys_file.clone().ok_or_else(|| {
            CommandError::plain("the configuration names no `auth.keys_file` to keep keys in")
        })?;
        match self.action {
            Action::Create(create) => create.run(&config, &file).await,
            Action::List => list(&file),
            Action::Revoke { id } => revoke(&config, &file, &id).await,
        }
    }
}

impl Create {
    async fn run(self, config: &Config, file: &Path) -> Result<(), CommandError> {
        let unknown = |role: &&String| !config.auth.roles.contains_key(*role);
        if let Some(role) = self.role.iter().find(unknown) {
            let message = format!("the configuration has no role `{role}` in `auth.roles`");
            return Err(CommandError::plain(message));
        }
        if self.role.is_empty() && self.scope.is_empty() {
            let message = "a key without `--role` and `--scope` could see nothing";
            return Err(CommandError::plain(message));
        }
        let now = Utc::now();
        let ttl = TimeDelta::from_std(self.ttl.0)
            .ok()
            .filter(|ttl| *ttl > TimeDelta::zero() && *ttl <= TimeDelta::days(DAYS_MAX))
            .ok_or_else(|| {
                CommandError::plain(format!("`--ttl` must be positive and at most {DAYS_MAX}d"))
            })?;
        let holder = Holder {
            name: self.name,
            roles: self.role.into_iter().collect::<BTreeSet<_>>(),
            scopes: self.scope.into_iter().collect::<BTreeSet<_>>(),
            tenant: self.tenant,
            claims: self.claim.into_iter().collect::<BTreeMap<_, _>>(),
        };
        let made = ApiKey::make(holder, random()?, now, now + ttl);
        let key = made.key.clone();
        key_file::change(file, |keys| keys.push(key))
            .map_err(|error| CommandError::because("the key can't be kept", error))?;
        share(config, &made.key).await?;
        print(&format!("{}\n", made.text))
    }
}

/// Random bytes of the operating system.
fn random() -> Result<[u8; 38], CommandError> {
    let mut bytes = [0; 38];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|error| CommandError::because("the system gives no random bytes", error))?;
    Ok(bytes)
}

/// Tells the other replicas, when there are some.
async fn share(config: &Config, key: &ApiKey) -> Result<(), CommandError> {
    let Some(url) = &config.redis.url else {
        return Ok(());
    };
    let what = "the keys file is changed, and the other replicas could not be told";
    let shared = SharedKeys::new(url, &config.redis.prefix)
        .map_err(|error| CommandError::because(what, error))?;
    shared
        .write(key)
        .await
        .map_err(|error| CommandError::because(what, error))
}

fn list(file: &Path) -> Result<(), CommandError> {
    let keys = key_file::read(file)
        .map_err(|error| CommandError::because("the keys can't be listed", error))?;
    let mut out = String::from("id\tname\troles\tscopes\ttenant\tcreated\texpires\tstate\n");
    let now = Utc::now();
    let words = |words: &BTreeSet<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.join(",")
    };
    let day = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    for key in keys {
        let state = match (key.revoked_at.is_some(), key.is_valid(now)) {
            (true, _) => "revoked",
            (false, true) => "valid",
            (false, false) => "expired",
        };
        let _ = writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{state}",
            key.id,
            key.name.replace(char::is_control, " "),
            words(&key.roles),
            words(&key.scopes),
            key.tenant.as_deref().unwrap_or("-"),
            day(key.created_at),
            day(key.expires_at),
        );
    }
    print(&out)
}

async fn revoke(config: &Config, file: &Path, id: &str) -> Result<(), CommandError> {
    let id = crate::auth::api_key::split(id).map_or(id, |(id, _)| id);
    let now = Utc::now();
    let mut revoked = key_file::change(file, |keys| {
        let key = keys.iter_mut().find(|key| key.id == id)?;
        key.revoked_at.get_or_insert(now);
        Some(key.clone())
    })
    .map_err(|error| CommandError::because("the key can't be revoked", error))?;
    if let (None, Some(url)) = (&revoked, &config.redis.url) {
        // The key may have been made on another machine.
        let failed = |error| CommandError::because("the shared keys can't be read", error);
        let shared = SharedKeys::new(url, &config.redis.prefix).map_err(failed)?;
        let keys = shared.read().await.map_err(failed)?;
        revoked = keys.into_iter().find(|key| key.id == id).map(|mut key| {
            key.revoked_at.get_or_insert(now);
            key
        });
    }
    let Some(key) = revoked else {
        return Err(CommandError::plain("there is no key with that id"));
    };
    share(config, &key).await?;
    print(&format!("{} is revoked\n", key.id))
}
