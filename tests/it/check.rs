//! What people are told whose connector files are wrong: every problem, in full sentences, at its place.
//!
//! Each file in `tests/fixture/broken` has one kind of mistake, and what is told stands beside it. `UPDATE_GENERATED=1` rewrites that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tributary::config::diagnostic::Diagnostics;
use tributary::config::interpolate::Environment;
use tributary::connector::check::{check_keys, connector_schema};

use crate::support::connector::read;

fn files() -> Vec<PathBuf> {
    let folder = Path::new("tests/fixture/broken");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files
}

/// Compares a generated text with its file, or rewrites the file when asked to.
#[track_caller]
fn check_generated(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        text,
        written,
        "{} lags: run with UPDATE_GENERATED=1",
        path.display()
    );
}

#[test]
fn every_mistake_is_told_at_its_place_with_a_remedy() {
    let environment = Environment::of([("SECRET", "hunter2")]);
    let files = files();
    assert!(files.len() > 20);
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (compiled, diagnostics) = read(&name, &text, &environment);
        assert!(compiled.is_none() && diagnostics.has_errors(), "{name}");
        let told = diagnostics.render_plain();
        assert!(!told.contains("hunter2"), "{name}");
        check_generated(&path.with_extension("txt"), &told);
    }
}

#[test]
fn two_files_can_not_describe_one_source() {
    let text = include_str!("../../connectors/crm.yaml");
    let environment = Environment::of([("CRM_URL", "https://crm.example"), ("CRM_TOKEN", "t")]);
    let one = read("a.yaml", text, &environment).0.unwrap();
    let two = read("b.yaml", text, &environment).0.unwrap();
    let mut diagnostics = Diagnostics::new();
    let files: [(Arc<str>, _); 2] = [("a.yaml".into(), &one), ("b.yaml".into(), &two)];
    check_keys(&files, &mut diagnostics);
    insta::assert_snapshot!(diagnostics.render_plain(), @r"
    b.yaml:1:1: error[duplicate-source]: The source `crm` is described by `a.yaml` already.
      hint: Give each source a key of its own.
    ");
}

#[test]
fn a_file_can_be_checked_where_its_secrets_are_not() {
    let text = include_str!("../../connectors/erp.yaml");
    let environment = Environment::of([("NONE", "")]).lenient();
    let (_, diagnostics) = read("erp.yaml", text, &environment);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render_plain());
    assert!(!diagnostics.is_empty());
}

#[test]
fn the_schema_for_editors_is_that_of_the_reader() {
    let schema = serde_json::to_string_pretty(&connector_schema()).unwrap() + "\n";
    check_generated(Path::new("connectors/connector.schema.json"), &schema);
}

#[test]
fn the_digest_changes_with_the_file_and_with_where_it_reads_from() {
    let text = include_str!("../../connectors/crm.yaml");
    let digest = |text: &str, url: &str| {
        let environment = Environment::of([("CRM_URL", url), ("CRM_TOKEN", "t")]);
        read("crm.yaml", text, &environment).0.unwrap().digest
    };
    let first = digest(text, "https://a.example");
    assert_eq!(first, digest(text, "https://a.example"));
    assert_ne!(first, digest(text, "https://b.example"));
    assert_ne!(
        first,
        digest(&format!("{text}# more\n"), "https://a.example")
    );
}
