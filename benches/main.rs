//! Measures the gateway beside the floors of what a machine can do: `./scripts/bench`, which CONTRIBUTING explains.

mod floor;
mod gateway;
mod hanging;
mod load;
mod measure;
mod plan;
mod process;
mod scene;
mod table;
mod vendor;
mod wire;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::gateway::Caching;
use crate::measure::measure;
use crate::plan::{GROUPS, Group, Options, Query};
use crate::scene::Scene;
use crate::table::Cells;
use crate::vendor::Vendors;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The core of the gateway and of the floors.
pub const GATEWAY_CORE: usize = 0;
/// The core of the load generator, the vendors and Redis.
pub const LOAD_CORE: usize = 1;

/// What can go wrong ends the run; there is nothing to recover.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures the gateway beside the floors of what this machine can do.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts of a run that are processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Serves the floors.
    Floors(floor::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.part {
        Some(Part::Floors(options)) => in_runtime(floor::serve(options)),
        None if arguments.options.calls => in_runtime(show_calls()),
        None => in_runtime(run(arguments.options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn in_runtime(work: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Prints at once.
pub fn print(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

async fn run(options: Options) -> Outcome<()> {
    let connections = options.connections();
    let most = connections.iter().copied().max().unwrap_or(1).max(1);
    let vendors = Vendors::start(Duration::from_millis(options.latency)).await?;
    let scene = Scene::start(vendors, most.max(hanging::CONNECTIONS)).await?;
    let wanted: Vec<Group> = GROUPS
        .into_iter()
        .filter(|group| options.wants(group))
        .collect();
    let mut cells = Cells::new();
    for group in &wanted {
        for connections in &connections {
            for row in std::iter::once(group.gateway()).chain(group.floors()) {
                let cell = measure(&scene, row, *connections, options.times()).await?;
                cells.insert((row, *connections), cell);
            }
        }
        print(&table::group(group, &connections, &cells))?;
    }
    print(&table::targets(&wanted, &cells))?;
    if options.wants_name("hanging") {
        print(&hanging::measure(&scene, options.times()).await?)?;
    }
    Ok(())
}

/// Prints what each query asks the vendors, and what they say.
async fn show_calls() -> Outcome<()> {
    let vendors = Vendors::start(Duration::ZERO).await?;
    let folder = process::Folder::new()?;
    let gateway = gateway::Gateway::start(&folder, Caching::Cold, vendors.environment())?;
    let email = vendors.emails(1).pop();
    let customer = serde_json::json!({ "email": email });
    let list = serde_json::json!({ "after": null });
    for (query, variables) in [(Query::Customer, customer), (Query::List, list)] {
        let answer = scene::ask(&gateway, query, &variables).await?;
        let mut text = format!("== {}\n", query.key());
        for asked in vendors.take_recorded() {
            let reply = String::from_utf8_lossy(&asked.reply).replace("\r\n", "\n");
            text.push_str(&format!("> {}\n< {reply}\n", asked.text));
        }
        print(&format!("{text}= {}\n", String::from_utf8_lossy(&answer)))?;
    }
    Ok(())
}
