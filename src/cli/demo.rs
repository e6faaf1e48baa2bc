//! `tributary demo`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::TcpListener;

use crate::app::load::ConnectorText;
use crate::app::{Gateway, load};
use crate::cli::{CommandError, print, token, until_stopped};
use crate::config::Config;
use crate::config::diagnostic::Diagnostics;
use crate::config::interpolate::Environment;
use crate::config::section::graphiql::ExampleSection;
use crate::config::span::Span;
use crate::record::secret::Secret;
use crate::sandbox::{Options, Sandbox};

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

const CONFIG: &str = include_str!("demo.yaml");
/// How long the printed token is valid.
const TOKEN_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The connector files of the sandbox company.
pub const CONNECTORS: &[(&str, &str)] = &[
    (
        "connectors/crm.yaml",
        include_str!("../../connectors/crm.yaml"),
    ),
    (
        "connectors/erp.yaml",
        include_str!("../../connectors/erp.yaml"),
    ),
    (
        "connectors/helpdesk.yaml",
        include_str!("../../connectors/helpdesk.yaml"),
    ),
    (
        "connectors/shop.yaml",
        include_str!("../../connectors/shop.yaml"),
    ),
    (
        "connectors/marketing.yaml",
        include_str!("../../connectors/marketing.yaml"),
    ),
    (
        "connectors/payments.yaml",
        include_str!("../../connectors/payments.yaml"),
    ),
    (
        "connectors/mail.yaml",
        include_str!("../../connectors/mail.yaml"),
    ),
    (
        "connectors/social.yaml",
        include_str!("../../connectors/social.yaml"),
    ),
];

/// Example queries, the first of which the page runs.
pub const EXAMPLES: &[&str] = &[
    include_str!("example/customer.graphql"),
    include_str!("example/list.graphql"),
    include_str!("example/sources.graphql"),
];

/// The demo's configuration.
pub(crate) fn config() -> Result<Config, CommandError> {
    let mut diagnostics = Diagnostics::new();
    let environment = Environment::of([] as [(String, String); 0]);
    let file = "demo.yaml".into();
    match Config::read(CONFIG, &file, Path::new(""), &environment, &mut diagnostics) {
        Some(config) if !diagnostics.has_errors() => Ok(config),
        _ => Err(CommandError::Diagnostics(Box::new(diagnostics))),
    }
}

/// The connector files as texts.
pub fn connector_texts() -> Vec<ConnectorText> {
    CONNECTORS
        .iter()
        .map(|(file, text)| ConnectorText {
            file: (*file).into(),
            folder: std::path::PathBuf::new(),
            text: (*text).to_owned(),
        })
        .collect()
}

impl Demo {
    /// Runs the sandbox company and a gateway over it until the process is asked to stop.
    pub async fn run(self) -> Result<(), CommandError> {
        let begun = Instant::now();
        let failed = |what: &'static str| {
            move |error: Box<dyn std::error::Error + Send + Sync>| CommandError::Failed {
                what: what.to_owned(),
                cause: Some(error),
            }
        };
        let mut config = config()?;
        crate::telemetry::install_logs(&crate::app::settings::log(&config))
            .map_err(|error| failed("logs can't be written")(error.into()))?;
        let sandbox = Sandbox::start(Options::demo())
            .await
            .map_err(|error| failed("the sandbox company can't be started")(error.into()))?;
        config.server.listen = self.listen;
        let environment = Environment::of(sandbox.environment());
        let mut diagnostics = Diagnostics::new();
        let loaded = load::assemble(config, &connector_texts(), &environment, &mut diagnostics);
        let Some(mut loaded) = loaded.filter(|_| !diagnostics.has_errors()) else {
            return Err(CommandError::Diagnostics(Box::new(diagnostics)));
        };
        let scopes = token::all_scopes(&loaded.catalog);
        let token = token::sign(
            &loaded.config,
            "developer".to_owned(),
            scopes,
            Vec::new(),
            Span(TOKEN_TIME),
        )?;
        loaded.config.graphiql.token = Some(Secret::new(token.as_str()));
        loaded.config.graphiql.examples = EXAMPLES
            .iter()
            .map(|query| ExampleSection {
                query: (*query).to_owned(),
                variables: serde_json::Map::new(),
            })
            .collect();
        let gateway = Gateway::new(loaded)
            .map_err(|error| failed("the gateway can't be started")(error.into()))?;
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| failed("the demo can't listen there")(error.into()))?;
        let address = listener
            .local_addr()
            .map_err(|error| failed("the demo's address is not known")(error.into()))?;
        print(&banner(address, &token, begun.elapsed()))?;
        let stop = until_stopped()?;
        gateway.serve(listener, stop).await;
        sandbox.shutdown().await;
        Ok(())
    }
}

fn banner(address: SocketAddr, token: &str, ready_after: Duration) -> String {
    let query = r#"{"query":"{ customerByIdentifier(identifier: {email: \"ana.silva@acme-industries.io\"}) { id displayName orders(first: 2) { nodes { orderNumber status total { amount currency } } } tickets(first: 2) { nodes { subject status } } } }"}"#;
    format!(
        "The demo is ready after {} ms: eight fake vendors, one graph.\n\n\
         Explore it:  http://{address}/graphiql\n\n\
         Or paste this:\n\n\
         curl -s http://{address}/graphql \\\n  -H 'content-type: application/json' \\\n  -H 'authorization: Bearer {token}' \\\n  -d '{}'\n\n\
         Stop it with Ctrl-C.\n",
        ready_after.as_millis(),
        query.replace('\'', "'\\''"),
    )
}
