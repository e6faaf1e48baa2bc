//! The gateway under measurement: `tributary serve` over the sandbox company's connector files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tributary::cli::demo::CONNECTORS;

use crate::process::{Folder, Process};
use crate::{GATEWAY_CORE, Outcome};

/// Whether answers come from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caching {
    /// Nothing is ever fresh: every request makes its vendor calls.
    Cold,
    /// What was read once stays fresh for the run.
    Cached,
}

impl Caching {
    /// The name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Cached => "cached",
        }
    }

    fn lifetimes(self) -> &'static str {
        match self {
            Self::Cold => "cache: { fresh: 0s, stale: 0s, not_found: 0s }",
            Self::Cached => "cache: { fresh: 1h, stale: 1h, not_found: 1h }",
        }
    }
}

/// The secret of the tokens; 32 bytes are the least that HS256 takes.
pub const SECRET: &str = "a-secret-for-measurements-only-and-nothing-else";
/// The issuer of the tokens.
pub const ISSUER: &str = "tributary-bench";

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// A token with every scope.
    pub token: String,
}

impl Gateway {
    /// Writes its files and starts it.
    pub fn start(
        folder: &Folder,
        caching: Caching,
        environment: &BTreeMap<String, String>,
    ) -> Outcome<Self> {
        let program = std::env::current_exe()?.with_file_name("tributary");
        let config = folder.file(&format!("{}.yaml", caching.name()));
        std::fs::write(&config, configuration(folder, caching)?)?;
        let path = config.display().to_string();
        let environment: Vec<(String, String)> = environment.clone().into_iter().collect();
        let log = folder.file(&format!("{}.log", caching.name()));
        let arguments = ["serve", "--config", &path];
        let mut process = Process::start(&program, &arguments, &environment, (GATEWAY_CORE, &log))?;
        let address = process.wait_for("\"server.address\":\"")?.parse()?;
        let token = token(&program, &path, &environment)?;
        Ok(Self {
            process,
            address,
            token,
        })
    }
}

fn token(program: &Path, config: &str, environment: &[(String, String)]) -> Outcome<String> {
    let printed = Command::new(program)
        .args(["token", "--config", config])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()?;
    if !printed.status.success() {
        return Err(String::from_utf8_lossy(&printed.stderr).into());
    }
    Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
}

fn configuration(folder: &Folder, caching: Caching) -> Outcome<String> {
    let mut files = Vec::new();
    for (path, text) in CONNECTORS {
        let name = path.replace("connectors/", &format!("{}-", caching.name()));
        std::fs::write(folder.file(&name), connector(text, caching)?)?;
        files.push(name);
    }
    Ok(format!(
        "log: {{ format: json }}\nserver: {{ listen: \"127.0.0.1:0\" }}\n\
         callers: {{ requests: 4000000000/min, cost: 4000000000/s }}\n\
         auth:\n  issuers:\n    - issuer: {ISSUER}\n      audiences: [tributary]\n      \
         algorithms: [HS256]\n      secret: {SECRET}\n\
         connectors: [{}]\n",
        files.join(", ")
    ))
}

/// A connector file of the demo whose budget is no bound and whose cache is as wanted; nothing else is changed.
fn connector(text: &str, caching: Caching) -> Outcome<String> {
    let mut changed = 0;
    let lines = text.lines().map(|line| {
        if line.starts_with("budget:") {
            changed += 1;
            "budget: { concurrency: 1000, queue: 10000, timeout: 8s }"
        } else if line.starts_with("cache:") {
            changed += 1;
            caching.lifetimes()
        } else {
            line
        }
    });
    let lines: Vec<&str> = lines.collect();
    if changed != 2 {
        return Err("a connector file of the demo has no `budget` or no `cache` line".into());
    }
    Ok(lines.join("\n") + "\n")
}
