//! `tributary check`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::load;
use crate::cli::{CommandError, print};
use crate::config::Config;
use crate::config::diagnostic::Diagnostics;
use crate::config::interpolate::Environment;

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration files (`tributary.yaml`) and connector files; without any, `tributary.yaml` here.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one plain line for each problem, for editors and scripts.
    #[arg(long)]
    plain: bool,
    /// Treat environment variables that are not set as warnings, to check without secrets.
    #[arg(long)]
    lenient: bool,
}

impl Check {
    /// Reads everything and prints every problem; fails when there is an error.
    pub fn run(self) -> Result<(), CommandError> {
        let environment = Environment::process();
        let environment = if self.lenient {
            environment.lenient()
        } else {
            environment
        };
        let files = if self.files.is_empty() {
            vec![PathBuf::from("tributary.yaml")]
        } else {
            self.files.clone()
        };
        let (configs, connectors): (Vec<PathBuf>, Vec<PathBuf>) =
            files.into_iter().partition(|file| is_config(file));
        let mut diagnostics = Diagnostics::new();
        let mut checked = 0;
        for config in &configs {
            match load::load(config, &environment) {
                Ok((loaded, warnings)) => {
                    checked += 1 + loaded.connectors.len();
                    diagnostics.extend(warnings);
                }
                Err(problems) => diagnostics.extend(problems),
            }
        }
        if !connectors.is_empty() {
            let texts: Vec<_> = connectors
                .iter()
                .filter_map(|path| load::read(path, &mut diagnostics))
                .collect();
            let assembled =
                load::assemble(Config::default(), &texts, &environment, &mut diagnostics);
            checked += assembled.map_or(0, |loaded| loaded.connectors.len());
        }
        if !diagnostics.is_empty() {
            let text = if self.plain {
                diagnostics.render_plain()
            } else {
                diagnostics.render_graphical(false, 100)
            };
            print(&text)?;
        }
        if diagnostics.has_errors() {
            return Err(CommandError::plain(format!(
                "{} problems were found",
                diagnostics.len()
            )));
        }
        print(&format!("{checked} files are in order\n"))
    }
}

/// Whether the file is a configuration; connector files name their source.
fn is_config(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else {
        return true;
    };
    !text.lines().any(|line| line.starts_with("source:"))
}
