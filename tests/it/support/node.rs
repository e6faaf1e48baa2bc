//! Runs the scripts of `tests/node`, which bring what only npm has: a browser's driver and an audit.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// The longest that a script may take; it is here to end a script that hangs, and decides no test.
const SCRIPT_TIME_MAX: Duration = Duration::from_secs(120);

/// Runs a script with one JSON argument and reads the JSON that it prints.
pub async fn run(script: &str, argument: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    assert!(
        folder.join("node_modules").is_dir(),
        "tests/node/node_modules is absent: run `npm ci --ignore-scripts` in tests/node"
    );
    let output = Command::new("node")
        .arg(script)
        .arg(argument.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SCRIPT_TIME_MAX, output)
        .await
        .expect("the script must end")
        .expect("node must be on PATH");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
