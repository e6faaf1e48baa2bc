//! What is measured: which queries, by whom, against which targets.

use std::time::Duration;

use clap::Args;

use crate::gateway::Caching;
use crate::load::Times;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// `{__typename}`.
    Typename,
    /// One customer from five systems.
    Customer,
    /// Fifty customers with orders and tickets.
    List,
}

impl Query {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Typename, Self::Customer, Self::List];

    /// The name in paths and files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Typename => "typename",
            Self::Customer => "customer",
            Self::List => "list",
        }
    }
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runner {
    /// The gateway.
    Gateway(Caching),
    /// The bytes from a bare handler.
    Bytes,
    /// The same with the token verified.
    Jwt,
    /// The same with verified tokens remembered.
    Remembered,
    /// The bytes from Redis.
    Redis,
    /// One vendor's answer, passed on.
    Pass,
    /// The same calls and the same bytes from a hand-written program.
    Hand,
}

impl Runner {
    /// The name in paths; of the gateway, how it caches.
    pub fn key(self) -> &'static str {
        match self {
            Self::Gateway(caching) => caching.name(),
            Self::Bytes => "bytes",
            Self::Jwt => "jwt",
            Self::Remembered => "remembered",
            Self::Redis => "redis",
            Self::Pass => "pass",
            Self::Hand => "hand",
        }
    }
}

/// A query and who answers it: a line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// What is asked.
    pub query: Query,
    /// Who answers.
    pub runner: Runner,
}

impl Row {
    /// The name in tables.
    pub fn name(self) -> String {
        let query = match self.query {
            Query::Typename => "{__typename}",
            Query::Customer => "customer view",
            Query::List => "list of 50",
        };
        match self.runner {
            Runner::Gateway(_) if self.query == Query::Typename => query.to_owned(),
            Runner::Gateway(caching) => format!("{query}, {}", caching.name()),
            Runner::Bytes => "  axum, same bytes".to_owned(),
            Runner::Jwt => "  axum + JWT".to_owned(),
            Runner::Remembered => "  axum + remembered JWT".to_owned(),
            Runner::Redis => "  axum + Redis GET".to_owned(),
            Runner::Pass => "  axum + one vendor call".to_owned(),
            Runner::Hand => "  hand-written program".to_owned(),
        }
    }
}

/// A line of the gateway with the floors beside it.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// What is asked.
    pub query: Query,
    /// How the gateway caches.
    pub caching: Caching,
    /// Who else answers.
    pub floors: &'static [Runner],
    /// The floor whose target it has, and the least ratio.
    pub target: (Runner, f64),
}

impl Group {
    /// The gateway's line.
    pub fn gateway(&self) -> Row {
        Row {
            query: self.query,
            runner: Runner::Gateway(self.caching),
        }
    }

    /// The floors' lines.
    pub fn floors(&self) -> impl Iterator<Item = Row> {
        let query = self.query;
        self.floors.iter().map(move |runner| Row {
            query,
            runner: *runner,
        })
    }
}

const FLOORS_OF_BYTES: &[Runner] = &[
    Runner::Bytes,
    Runner::Jwt,
    Runner::Remembered,
    Runner::Redis,
];
const FLOORS_OF_CALLS: &[Runner] = &[Runner::Pass, Runner::Hand];

/// Everything that is measured.
pub const GROUPS: [Group; 5] = [
    Group {
        query: Query::Typename,
        caching: Caching::Cached,
        floors: &[Runner::Bytes, Runner::Jwt, Runner::Remembered],
        target: (Runner::Jwt, 0.5),
    },
    Group {
        query: Query::Customer,
        caching: Caching::Cold,
        floors: FLOORS_OF_CALLS,
        target: (Runner::Hand, 0.75),
    },
    Group {
        query: Query::Customer,
        caching: Caching::Cached,
        floors: FLOORS_OF_BYTES,
        target: (Runner::Jwt, 0.55),
    },
    Group {
        query: Query::List,
        caching: Caching::Cold,
        floors: FLOORS_OF_CALLS,
        target: (Runner::Hand, 0.8),
    },
    Group {
        query: Query::List,
        caching: Caching::Cached,
        floors: FLOORS_OF_BYTES,
        target: (Runner::Jwt, 0.4),
    },
];

/// Connections at which the targets are held.
pub const TARGET_CONNECTIONS: usize = 32;
/// The memory that the gateway may take under load.
pub const PEAK_BYTES_MAX: u64 = 60_000_000;

/// What to measure, and for how long.
#[derive(Debug, Args)]
pub struct Options {
    /// At how many connections.
    #[arg(long, value_delimiter = ',', default_value = "1,32,128")]
    pub connections: Vec<usize>,
    /// How long each line is measured.
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    pub seconds: f64,
    /// One second a line, at 32 connections.
    #[arg(long)]
    pub quick: bool,
    /// Only what has this word in its name, such as `customer`, `list`, `cold`, `cached`, `typename` or `hanging`; several may be given.
    #[arg(long, value_name = "WORD")]
    pub only: Vec<String>,
    /// How long vendors think about each call.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    pub latency: u64,
    /// Print the vendor calls of each query with their replies, and measure nothing.
    #[arg(long)]
    pub calls: bool,
}

impl Options {
    /// At how many connections.
    pub fn connections(&self) -> Vec<usize> {
        if self.quick {
            vec![TARGET_CONNECTIONS]
        } else {
            self.connections.clone()
        }
    }

    /// How long each line is measured.
    pub fn times(&self) -> Times {
        let seconds = if self.quick { 1.0 } else { self.seconds };
        let stretch = Duration::from_secs_f64(seconds.clamp(0.1, 600.0));
        Times {
            warm_up: Duration::from_millis(500).min(stretch / 2),
            stretch,
        }
    }

    /// Whether a group is wanted.
    pub fn wants(&self, group: &Group) -> bool {
        self.wants_name(&format!("{} {}", group.query.key(), group.caching.name()))
    }

    /// Whether what has that name is wanted.
    pub fn wants_name(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().all(|word| name.contains(word.as_str()))
    }
}
