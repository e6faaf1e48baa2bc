//! `tributary schema`.

use std::path::PathBuf;

use clap::Args;

use crate::app::load;
use crate::cli::{CommandError, print};
use crate::config::Config;
use crate::config::diagnostic::Diagnostics;
use crate::config::interpolate::Environment;
use crate::schema::sdl;

/// Options of `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// The configuration file whose schema extensions are included.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Schema {
    /// Prints the SDL of the graph.
    pub fn run(self) -> Result<(), CommandError> {
        let mut diagnostics = Diagnostics::new();
        let extensions = match &self.config {
            None => Vec::new(),
            Some(path) => {
                Config::load(path, &Environment::process().lenient())
                    .map_err(|problems| CommandError::Diagnostics(Box::new(problems)))?
                    .config
                    .schema
                    .extensions
            }
        };
        match load::catalog(&extensions, &mut diagnostics) {
            Some(catalog) => print(&sdl::print(&catalog)),
            None => Err(CommandError::Diagnostics(Box::new(diagnostics))),
        }
    }
}
