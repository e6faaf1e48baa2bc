//! The command line: each subcommand a file.

pub mod check;
pub mod demo;
pub mod healthcheck;
pub mod key;
pub mod schema;
pub mod serve;
pub mod token;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::config::diagnostic::Diagnostics;

/// One GraphQL graph over every system that knows your customer.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway from a configuration file.
    Serve(serve::Serve),
    /// Run the gateway over a company of fake vendors, with nothing else needed.
    Demo(demo::Demo),
    /// Read the configuration, the schema extensions and the connector files, and tell every problem.
    Check(check::Check),
    /// Print the graph's SDL.
    Schema(schema::Schema),
    /// Print a development token.
    Token(token::Token),
    /// Make, list and revoke API keys.
    Key(key::Key),
    /// Ask a running gateway whether it lives.
    Healthcheck(healthcheck::Healthcheck),
}

/// How a command can fail: exit code 1 with a message.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Files have problems; they are printed as they are.
    #[error("there are problems in the files")]
    Diagnostics(Box<Diagnostics>),
    /// Anything else, told with its causes.
    #[error("{what}")]
    Failed {
        /// What was being tried.
        what: String,
        /// Why it failed.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl CommandError {
    /// A failure with its cause.
    pub fn because(
        what: impl Into<String>,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Failed {
            what: what.into(),
            cause: Some(Box::new(cause)),
        }
    }

    /// A failure that says all.
    pub fn plain(what: impl Into<String>) -> Self {
        Self::Failed {
            what: what.into(),
            cause: None,
        }
    }
}

/// Runs the program: 0 for success, 1 for a found problem, 2 for wrong usage.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match arguments.command {
        Command::Serve(command) => in_runtime(command.run()),
        Command::Demo(command) => in_runtime(command.run()),
        Command::Check(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Key(command) => in_runtime(command.run()),
        Command::Healthcheck(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::from(1)
        }
    }
}

fn in_runtime(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::because("the runtime can't be started", error))?
        .block_on(work)
}

fn tell(error: &CommandError) {
    let mut out = io::stderr().lock();
    match error {
        CommandError::Diagnostics(diagnostics) => {
            let _ = write!(out, "{}", diagnostics.render_graphical(false, 100));
        }
        CommandError::Failed { what, cause } => {
            let _ = writeln!(out, "error: {what}");
            let mut next = cause
                .as_deref()
                .map(|cause| cause as &dyn std::error::Error);
            while let Some(cause) = next {
                let _ = writeln!(out, "  because: {cause}");
                next = cause.source();
            }
        }
    }
}

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| CommandError::because("standard output can't be written", error))
}

/// A token that ends when the process is asked to stop.
pub(crate) fn until_stopped() -> Result<CancellationToken, CommandError> {
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| {
        CommandError::because("the stop signal can't be listened to", error)
    })?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        ended.cancel();
    });
    Ok(stop)
}
