//! The reference implementation of GraphQL, in a process of Node's, over the data of a world.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::operation::Case;

pub struct Reference {
    /// Written by a task of its own, since both processes would wait for each other once two pipes are full.
    input: UnboundedSender<String>,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Reference {
    /// Starts a process that knows the graph.
    pub async fn start(sdl: &str, world: &Json) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        assert!(
            folder.join("node_modules").is_dir(),
            "tests/node/node_modules is absent: run `npm ci --ignore-scripts` in tests/node"
        );
        let mut process = Command::new("node")
            .arg("differential.js")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node must be on PATH");
        let (input, mut lines) = unbounded_channel::<String>();
        let mut pipe = process.stdin.take().unwrap();
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if pipe.write_all(line.as_bytes()).await.is_err() {
                    break;
                }
            }
        });
        let reference = Self {
            input,
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        };
        reference.send(&json!({"sdl": sdl, "world": world}));
        reference
    }

    fn send(&self, message: &Json) {
        let sent = self.input.send(format!("{message}\n"));
        assert!(sent.is_ok(), "the reference implementation ended");
    }

    /// Replaces the data.
    pub fn set_world(&self, world: &Json) {
        self.send(&json!({ "world": world }));
    }

    /// Hands in an operation, to be answered while the caller does something else.
    pub fn ask(&self, case: &Case) {
        self.send(&json!({
            "query": case.query,
            "operationName": case.operation_name,
            "variables": case.variables,
        }));
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Json {
        let line = self.output.next_line().await.unwrap();
        serde_json::from_str(&line.expect("the reference implementation ended")).unwrap()
    }
}
