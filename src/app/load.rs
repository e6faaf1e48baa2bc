//! Reads all files a gateway is made of, and tells every problem of all of them at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::config::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::config::interpolate::Environment;
use crate::connector::Connector;
use crate::connector::check::{Text, check, check_keys};
use crate::http::document::manifest;
use crate::resolve::policy::Policy;
use crate::schema::Catalog;
use crate::schema::load::{SchemaProblem, SchemaText, load as load_schema};
use crate::transport::retry::Surroundings;

/// Everything a gateway is made of.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The graph.
    pub catalog: Catalog,
    /// The sources.
    pub connectors: Vec<Connector>,
    /// Who sees which records, and what of them.
    pub policy: Policy,
    /// Trusted documents by id.
    pub documents: Vec<(String, String)>,
}

/// A connector file's text with the folder its relative paths start at.
#[derive(Debug, Clone)]
pub struct ConnectorText {
    /// The file's name in messages.
    pub file: Arc<str>,
    /// Where relative paths start.
    pub folder: PathBuf,
    /// The contents.
    pub text: String,
}

const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the configuration, its schema extensions and its connector files.
pub fn load(path: &Path, environment: &Environment) -> Result<(Loaded, Diagnostics), Diagnostics> {
    let (config, mut diagnostics) = match Config::load(path, environment) {
        Ok(loaded) => (loaded.config, loaded.warnings),
        Err(diagnostics) => return Err(diagnostics),
    };
    let texts: Vec<ConnectorText> = config
        .connectors
        .iter()
        .filter_map(|path| read(path, &mut diagnostics))
        .collect();
    match assemble(config, &texts, environment, &mut diagnostics) {
        Some(loaded) if !diagnostics.has_errors() => Ok((loaded, diagnostics)),
        _ => Err(diagnostics),
    }
}

/// Puts a gateway's parts together from texts that were read already.
pub fn assemble(
    config: Config,
    texts: &[ConnectorText],
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Option<Loaded> {
    let catalog = catalog(&config.schema.extensions, diagnostics)?;
    let connectors = connectors(texts, &catalog, environment, diagnostics);
    let policy = policy(&config, &catalog, diagnostics);
    let documents = documents(&config.documents.trusted, diagnostics);
    Some(Loaded {
        documents,
        config,
        catalog,
        connectors,
        policy,
    })
}

/// Holds the rules and masks against the graph.
fn policy(config: &Config, catalog: &Catalog, diagnostics: &mut Diagnostics) -> Policy {
    Policy::compile(catalog, &config.policy).unwrap_or_else(|problems| {
        for problem in problems {
            diagnostics.push(match &config.origin {
                Some(origin) => origin.of_policy(&problem.path, problem.message),
                // A configuration that no file says has no lines.
                None => {
                    let file: Arc<str> = "tributary.yaml".into();
                    Diagnostic::error("policy", &file, Place::START, problem.message)
                }
            });
        }
        Policy::of_scopes(catalog)
    })
}

/// Reads the graph with its extensions.
pub fn catalog(extensions: &[PathBuf], diagnostics: &mut Diagnostics) -> Option<Catalog> {
    let mut texts = vec![SchemaText {
        file: "schema.graphql".into(),
        text: crate::schema::SCHEMA.to_owned(),
    }];
    for path in extensions {
        let read = read(path, diagnostics)?;
        diagnostics.add_source(&read.file, &read.text);
        texts.push(SchemaText {
            file: read.file,
            text: read.text,
        });
    }
    match load_schema(&texts) {
        Ok(catalog) => Some(catalog),
        Err(problems) => {
            for problem in problems {
                diagnostics.push(diagnostic(&texts, problem));
            }
            None
        }
    }
}

fn diagnostic(texts: &[SchemaText], problem: SchemaProblem) -> Diagnostic {
    let text = texts
        .iter()
        .find(|text| text.file == problem.file)
        .map_or("", |text| &*text.text);
    let before: usize = text
        .split_inclusive('\n')
        .take(problem.line.saturating_sub(1))
        .map(str::len)
        .sum();
    let place = Place {
        offset: before + problem.column.saturating_sub(1),
        len: 1,
        line: u32::try_from(problem.line).unwrap_or(1),
        column: u32::try_from(problem.column).unwrap_or(1),
    };
    let message = format!("{}.", problem.message);
    Diagnostic::error("schema", &problem.file, place, message)
}

fn connectors(
    texts: &[ConnectorText],
    catalog: &Catalog,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Vec<Connector> {
    let mut compiled = Vec::with_capacity(texts.len());
    for text in texts {
        let source = Text {
            file: &text.file,
            folder: &text.folder,
            text: &text.text,
        };
        let checked = check(source, catalog, environment, diagnostics);
        compiled.extend(checked.map(|one| (text.file.clone(), one)));
    }
    let keys: Vec<_> = compiled
        .iter()
        .map(|(file, one)| (file.clone(), one))
        .collect();
    check_keys(&keys, diagnostics);
    let mut connectors = Vec::with_capacity(compiled.len());
    for (file, one) in compiled {
        match Connector::new(one, Surroundings::real()) {
            Ok(connector) => connectors.push(connector),
            Err(error) => diagnostics.push(Diagnostic::error(
                "source",
                &file,
                Place::START,
                format!("The source can't be set up: {error}."),
            )),
        }
    }
    connectors
}

/// Reads trusted documents. That they fit the graph is told when they run: a client may be ahead of it.
fn documents(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> Vec<(String, String)> {
    let mut documents = Vec::new();
    for path in paths {
        let Some(read) = read(path, diagnostics) else {
            continue;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match manifest::read(&name, &read.text) {
            Ok(found) => documents.extend(found),
            Err(error) => diagnostics.push(Diagnostic::error(
                "trusted-documents",
                &read.file,
                Place::START,
                format!("The file has no trusted documents: {error}."),
            )),
        }
    }
    documents
}

/// Reads a file, or says why it can't be read.
pub fn read(path: &Path, diagnostics: &mut Diagnostics) -> Option<ConnectorText> {
    let file: Arc<str> = path.to_string_lossy().into();
    let refuse = |diagnostics: &mut Diagnostics, why: String| {
        let message = format!("The file can't be read: {why}.");
        diagnostics.push(Diagnostic::error(
            "unreadable-file",
            &file,
            Place::START,
            message,
        ));
    };
    match std::fs::metadata(path) {
        Ok(found) if found.len() > FILE_BYTES_MAX => {
            refuse(
                diagnostics,
                format!("it is larger than {FILE_BYTES_MAX} bytes"),
            );
            return None;
        }
        Ok(_) => {}
        Err(error) => {
            refuse(diagnostics, error.to_string());
            return None;
        }
    }
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
            Some(ConnectorText { file, folder, text })
        }
        Err(error) => {
            refuse(diagnostics, error.to_string());
            None
        }
    }
}
