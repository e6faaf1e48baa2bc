//! The one language of connector files: Jinja, as minijinja speaks it.
//!
//! Requests are templates ([`template`], [`request`], [`body`], [`xml`]): they are cut into their structure before values go in, so a
//! value can never change it. Mappings, predicates and rules are expressions ([`expression`]) over a decoded reply; plain paths, also
//! through our own filters, run natively without minijinja.

pub mod body;
pub mod convert;
pub mod error;
pub mod expression;
pub mod filter;
pub mod path;
pub mod request;
pub(crate) mod scan;
pub mod template;
mod value;
pub mod xml;

use std::sync::Arc;

use minijinja::Environment;

use crate::protocol::tree::Tree;

/// Bounds on what one evaluation may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps that one evaluation may take; minijinja also charges one for each 64 bytes it writes.
    pub fuel: u64,
    /// Frames that one evaluation may nest.
    pub recursion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 20_000,
            recursion: 64,
        }
    }
}

/// What expressions and templates are compiled against: filters, limits and the look-up tables of a connector file.
///
/// Cloning is cheap. Compiled expressions and templates keep what they need, so it may be dropped after loading.
#[derive(Debug, Clone)]
pub struct Language {
    expressions: Environment<'static>,
    templates: Environment<'static>,
    limits: Limits,
    tables: Arc<Vec<(Box<str>, Tree)>>,
}

impl Language {
    /// Builds the language with these limits and these tables, each a map by name, for `lookup(name)`.
    pub fn new(limits: Limits, tables: Vec<(Box<str>, Tree)>) -> Self {
        Self {
            expressions: filter::environment(limits, minijinja::UndefinedBehavior::Chainable),
            templates: filter::environment(limits, minijinja::UndefinedBehavior::Strict),
            limits,
            tables: Arc::new(tables),
        }
    }

    /// The table of that name, if the connector file has one.
    pub fn table(&self, name: &str) -> Option<&Tree> {
        self.tables
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, table)| table)
    }

    /// The names of the tables, for hints.
    fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|(name, _)| &**name)
    }
}

impl Default for Language {
    fn default() -> Self {
        Self::new(Limits::default(), Vec::new())
    }
}
