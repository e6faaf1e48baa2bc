//! From the configuration's sections to what each module takes.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::auth::settings::{Algorithm, AuthSettings, CertificateSettings, IssuerSettings};
use crate::cache::quota::Quota;
use crate::cache::redis::RedisTier;
use crate::cache::settings::{CacheSettings, RedisSettings};
use crate::config::Config;
use crate::config::rate::Rate;
use crate::config::section::auth as section;
use crate::config::section::graphiql::LoginSection;
use crate::config::section::server::ClientAuth;
use crate::config::size::Size;
use crate::connector::Connector;
use crate::engine::guard::DocumentLimits;
use crate::http::document::automatic::Automatic;
use crate::http::limit::{Allowance, Allowances};
use crate::http::serve::Security;
use crate::http::settings::{
    Example, GraphiqlSettings, LoginSettings, ServerSettings, StreamSettings,
};
use crate::http::tls::{Forwarding, Tls, TlsError, TlsFiles};
use crate::record::email::match_key;
use crate::resolve::IdentityOrder;

/// Which categories of source anchor and win, unless the configuration says so by name.
const CATEGORIES: &[&str] = &[
    "CRM",
    "ERP",
    "ECOMMERCE",
    "HELPDESK",
    "PAYMENTS",
    "MARKETING_AUTOMATION",
    "EMAIL",
    "MESSAGING",
    "SOCIAL",
    "ANALYTICS",
    "OTHER",
];

fn seconds(time: Duration) -> u64 {
    time.as_secs()
}

fn bytes(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The cache's settings.
pub fn cache(config: &Config) -> CacheSettings {
    let (cache, redis) = (&config.cache, &config.redis);
    CacheSettings {
        memory_bytes_max: cache.memory.0,
        fresh_seconds: seconds(cache.fresh.0),
        stale_seconds: seconds(cache.stale.0),
        not_found_seconds: seconds(cache.not_found.0),
        redis: RedisSettings {
            url: redis.url.as_ref().map(|url| url.expose().to_owned()),
            prefix: redis.prefix.clone(),
            timeout_ms: milliseconds(redis.timeout.0),
            ..RedisSettings::default()
        },
    }
}

/// The bounds on documents.
pub fn document_limits(config: &Config) -> DocumentLimits {
    DocumentLimits {
        fields_max: u64::from(config.limits.fields),
        depth_max: config.limits.depth,
        cost_max: u64::from(config.limits.complexity),
        ..DocumentLimits::default()
    }
}

/// The order in which sources anchor customers and win: as configured, then by category, then as listed.
pub fn identity(config: &Config, connectors: &[Connector]) -> IdentityOrder {
    let mut sources: Vec<&Connector> = connectors.iter().collect();
    let named = |key: &str| config.identity.sources.iter().position(|name| name == key);
    let category = |connector: &Connector| {
        CATEGORIES
            .iter()
            .position(|name| **name == *connector.category)
            .unwrap_or(CATEGORIES.len())
    };
    sources.sort_by_key(|connector| {
        (
            named(&connector.source).unwrap_or(usize::MAX),
            category(connector),
        )
    });
    let sources: Vec<Arc<str>> = sources
        .into_iter()
        .map(|connector| connector.source.clone())
        .collect();
    let anchors = if config.identity.anchors.is_empty() {
        // Every source of the best category that can list customers: with a CRM, a shop's guests are not customers yet.
        let listed: Vec<&Connector> = connectors
            .iter()
            .filter(|connector| connector.operation("Customer", "list").is_some())
            .collect();
        let best = listed.iter().map(|connector| category(connector)).min();
        let is_best = |key: &&Arc<str>| {
            listed
                .iter()
                .any(|connector| connector.source == **key && Some(category(connector)) == best)
        };
        sources.iter().filter(is_best).cloned().collect()
    } else {
        config
            .identity
            .anchors
            .iter()
            .map(|key| key.as_str().into())
            .collect()
    };
    let blocked = config
        .identity
        .blocked_addresses
        .iter()
        .filter_map(|address| match_key(address))
        .collect();
    IdentityOrder {
        anchors,
        sources,
        roles: config.identity.role_addresses.clone(),
        blocked,
    }
}

/// The server's settings.
pub fn server(config: &Config) -> ServerSettings {
    let server = &config.server;
    ServerSettings {
        listen: server.listen,
        body_bytes_max: bytes(server.body_bytes),
        body_timeout: server.request_timeout.0,
        header_timeout: server.header_timeout.0,
        write_timeout: server.write_timeout.0,
        requests_max: count(server.requests_max),
        connections_max: count(server.connections_max),
        drain: server.drain.0,
        origins: config.cors.origins.clone(),
        streams: streams(config),
        ..ServerSettings::default()
    }
}

/// TLS of the listener, and the proxies that are believed; reads the files of certificates and keys.
pub fn security(config: &Config) -> Result<Security, TlsError> {
    let server = &config.server;
    let files = server.tls.as_ref().map(|tls| TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_authorities: tls.client_ca.clone(),
        is_client_required: tls.client_auth == ClientAuth::Required,
    });
    let forwarded = &server.forwarded_certificates;
    Ok(Security {
        tls: files.map(Tls::new).transpose()?,
        forwarding: (!forwarded.peers.is_empty()).then(|| Forwarding {
            header: forwarded.header.clone(),
            peers: forwarded.peers.clone(),
        }),
    })
}

fn streams(config: &Config) -> StreamSettings {
    let streams = &config.streams;
    StreamSettings {
        connections_max: count(streams.connections_max),
        subscriptions_max: count(streams.subscriptions_max),
        message_bytes_max: bytes(streams.message_bytes),
        messages_per_second: streams.messages_per_second,
        init_timeout: streams.init_timeout.0,
        ping_interval: streams.ping.0,
        write_timeout: streams.write_timeout.0,
        heartbeat: streams.heartbeat.0,
        read_buffer_bytes: bytes(streams.read_buffer),
    }
}

/// What callers may do.
pub fn allowances(config: &Config) -> Allowances {
    let callers = &config.callers;
    let default = Allowance {
        requests: quota(callers.requests),
        cost: quota(callers.cost),
        streams_max: callers.streams,
        introspection: callers.introspection,
        suggestions: callers.suggestions,
        tells_cost: callers.tells_cost,
        is_trusted_only: callers.trusted_only,
    };
    let roles = callers.roles.iter().map(|(name, role)| {
        let allowance = Allowance {
            requests: role.requests.map_or(default.requests, quota),
            cost: role.cost.map_or(default.cost, quota),
            streams_max: role.streams.unwrap_or(default.streams_max),
            introspection: role.introspection.unwrap_or(default.introspection),
            suggestions: role.suggestions.unwrap_or(default.suggestions),
            tells_cost: role.tells_cost.unwrap_or(default.tells_cost),
            is_trusted_only: role.trusted_only.unwrap_or(default.is_trusted_only),
        };
        (name.clone(), allowance)
    });
    Allowances {
        roles: roles.collect(),
        default,
    }
}

fn quota(rate: Rate) -> Quota {
    Quota {
        count: rate.count.into(),
        per: rate.per,
    }
}

/// The documents that clients may bring.
pub fn automatic(config: &Config, redis: Option<Arc<RedisTier>>) -> Option<Automatic> {
    let documents = &config.documents;
    documents
        .automatic
        .then(|| Automatic::new(documents.automatic_memory.0, redis))
}

/// The GraphiQL page's settings.
pub fn graphiql(config: &Config) -> GraphiqlSettings {
    let section = &config.graphiql;
    GraphiqlSettings {
        enabled: section.enabled,
        token: section
            .token
            .as_ref()
            .map(|token| token.expose().to_owned()),
        login: section.login.as_ref().map(login),
        examples: section
            .examples
            .iter()
            .map(|example| Example {
                query: example.query.clone(),
                variables: Some(example.variables.clone()),
            })
            .collect(),
    }
}

fn login(section: &LoginSection) -> LoginSettings {
    let issuer = Url::parse(&section.issuer).map(|url| url.origin().ascii_serialization());
    LoginSettings {
        issuer: section.issuer.clone(),
        client_id: section.client_id.clone(),
        scope: section.scopes.join(" "),
        parameters: section.parameters.clone(),
        origins: issuer
            .into_iter()
            .chain(section.origins.iter().cloned())
            .collect(),
    }
}

/// The issuers' settings.
pub fn auth(config: &Config) -> AuthSettings {
    AuthSettings {
        issuers: config.auth.issuers.iter().map(issuer).collect(),
        roles: config.auth.roles.clone(),
        certificates: config.auth.certificates.iter().map(certificate).collect(),
        leeway_seconds: seconds(config.auth.leeway.0),
        ..AuthSettings::default()
    }
}

fn issuer(section: &section::IssuerSection) -> IssuerSettings {
    IssuerSettings {
        issuer: section.issuer.clone(),
        audiences: section.audiences.clone(),
        algorithms: section.algorithms.iter().map(algorithm).collect(),
        secret: section.secret.clone(),
        public_key_file: section.public_key_file.clone(),
        jwks_file: section.jwks_file.clone(),
        jwks_url: section.jwks_url.clone(),
        discovery: section.discovery,
        types: section.types.clone(),
        roles_claim: section.roles_claim.clone(),
        role_values: section.role_values.clone(),
        default_roles: section.default_roles.clone(),
        tenant_claim: section.tenant_claim.clone(),
        ..IssuerSettings::default()
    }
}

fn certificate(section: &section::CertificateSection) -> CertificateSettings {
    CertificateSettings {
        name: section.name.clone(),
        common_name: section.common_name.clone(),
        dns: section.dns.clone(),
        uri: section.uri.clone(),
        email: section.email.clone(),
        fingerprint: section.fingerprint.clone(),
        tenant: section.tenant.clone(),
        roles: section.roles.clone(),
        scopes: section.scopes.clone(),
        claims: section.claims.clone(),
    }
}

fn algorithm(section: &section::Algorithm) -> Algorithm {
    match section {
        section::Algorithm::HS256 => Algorithm::HS256,
        section::Algorithm::RS256 => Algorithm::RS256,
        section::Algorithm::RS384 => Algorithm::RS384,
        section::Algorithm::RS512 => Algorithm::RS512,
        section::Algorithm::PS256 => Algorithm::PS256,
        section::Algorithm::ES256 => Algorithm::ES256,
        section::Algorithm::ES384 => Algorithm::ES384,
        section::Algorithm::EdDSA => Algorithm::EdDSA,
    }
}

/// How logs are written.
pub fn log(config: &Config) -> crate::telemetry::LogSettings {
    use crate::config::section::log::LogFormat as Section;
    use crate::telemetry::LogFormat;
    crate::telemetry::LogSettings {
        format: match config.log.format {
            Section::Text => LogFormat::Text,
            Section::Json => LogFormat::Json,
        },
        // What is to be told is told, however quiet the rest shall be.
        filter: if config.log.audit {
            format!("{},tributary::audit=info", config.log.filter)
        } else {
            config.log.filter.clone()
        },
    }
}
