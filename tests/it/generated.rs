//! Files that are made from the code: each must be what the code says now.
//!
//! `UPDATE_GENERATED=1 cargo test --test it generated` writes them anew.

use std::env;
use std::fmt::Write as _;
use std::fs;

use tributary::config::reference;
use tributary::connector::check;
use tributary::error::{Code, Owner};
use tributary::schema::{load::load_shipped, sdl};

use super::support::source::root;

/// Compares a committed file with what it is made from, or writes it when `UPDATE_GENERATED` is 1.
#[track_caller]
pub fn guard(path: &str, contents: &str) {
    let place = root().join(path);
    if env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, contents).unwrap();
        return;
    }
    let committed = fs::read_to_string(&place).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(contents.lines())
        .position(|(old, new)| old != new)
        .unwrap_or_else(|| committed.lines().count().min(contents.lines().count()));
    assert!(
        committed == contents,
        "{path} lags behind the code from line {} on: run `UPDATE_GENERATED=1 cargo test --test it generated`",
        differs + 1,
    );
}

#[test]
fn the_table_of_errors_is_up_to_date() {
    guard("docs/errors.md", &errors());
}

#[test]
fn the_manual_of_the_configuration_is_up_to_date() {
    guard("docs/configuration.md", &reference::render());
}

#[test]
fn the_json_schema_of_connector_files_is_up_to_date() {
    let schema = serde_json::to_string_pretty(&check::connector_schema()).unwrap();
    guard("connectors/connector.schema.json", &format!("{schema}\n"));
}

#[test]
fn the_manual_of_connector_files_is_up_to_date() {
    guard(
        "docs/connectors.md",
        &tributary::connector::reference::render(),
    );
}

#[test]
fn the_printed_schema_is_up_to_date() {
    let catalog = load_shipped().unwrap();
    guard("docs/schema.graphql", &sdl::print(&catalog));
}

fn errors() -> String {
    let mut page = String::from(ERRORS_HEAD);
    for code in Code::ALL {
        let (retry, owner) = (
            if code.is_retryable() { "yes" } else { "no" },
            match code.owner() {
                Owner::Caller => "caller",
                Owner::Vendor => "vendor",
                Owner::Operator => "operator",
            },
        );
        let (status, meaning) = (code.http_status(), code.meaning().trim());
        writeln!(
            page,
            "| `{code}` | {status} | {retry} | {owner} | {meaning} |"
        )
        .unwrap();
    }
    page
}

const ERRORS_HEAD: &str = "\
# Errors

Every failure has a stable code at `errors[].extensions.code`, with `requestId` beside it, and `source` and `operation` when a source is at
fault. Refusals that never reached GraphQL have the same form. Decide by the code, never by the message.

* HTTP status: of a refusal that consists of this code alone. An answer with `data` is 200, whatever its `errors` say.
* Retry: whether the same request may succeed later without a change. `extensions.retryAfterSeconds`, where present, says when.
* Who: who can mend it. What an operator needs to know is in the log under the same request id.

| code | HTTP status | retry | who | meaning |
|---|---|---|---|---|
";
