//! `tributary serve`.

use std::path::PathBuf;

use clap::Args;
use tokio::net::TcpListener;

use crate::app::{Gateway, load};
use crate::cli::{CommandError, until_stopped};
use crate::config::interpolate::Environment;

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "tributary.yaml")]
    config: PathBuf,
}

impl Serve {
    /// Runs the gateway until it is asked to stop.
    pub async fn run(self) -> Result<(), CommandError> {
        let (loaded, warnings) = load::load(&self.config, &Environment::process())
            .map_err(|diagnostics| CommandError::Diagnostics(Box::new(diagnostics)))?;
        crate::telemetry::install_logs(&crate::app::settings::log(&loaded.config))
            .map_err(|error| CommandError::because("logs can't be written", error))?;
        for warning in warnings.sorted() {
            tracing::warn!(file = %warning.file, line = warning.place.line, "{}", warning.message);
        }
        let gateway = Gateway::new(loaded)
            .map_err(|error| CommandError::because("the gateway can't be started", error))?;
        let address = gateway.address();
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| CommandError::because(format!("can't listen on {address}"), error))?;
        // The configured port may be 0, which leaves the choice to the system.
        let address = listener.local_addr().unwrap_or(address);
        let stop = until_stopped()?;
        tracing::info!(server.address = %address, "the gateway listens");
        gateway.serve(listener, stop).await;
        tracing::info!("the gateway has stopped");
        Ok(())
    }
}
