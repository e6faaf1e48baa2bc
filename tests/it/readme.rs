//! The README's first connector, followed to the letter.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tributary::app::{Gateway, load};
use tributary::config::interpolate::Environment;

use super::support::source::text;

const SECRET: &str = "a-secret-that-the-reader-would-have-drawn";

/// What the reader's folder holds, and the helpdesk that the reader's Python would serve.
struct Tutorial {
    folder: PathBuf,
    desk_url: String,
    _desk: AbortOnDropHandle<()>,
}

impl Tutorial {
    /// Writes the files of the README into a folder of that name.
    async fn follow(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (file, start) in [
            ("desk.yaml", "source: desk\n"),
            ("tributary.yaml", "connectors: [desk.yaml]\n"),
            ("extension.graphql", "extend type Ticket {\n"),
        ] {
            std::fs::write(folder.join(file), block(start)).unwrap();
        }
        let list = between("cat > desk/tickets.json <<'END'\n", "END\n");
        let one = between("echo '", "' > desk/tickets/7.json");
        let json = |body: String| {
            let head = [("content-type", "application/json")];
            get(move || std::future::ready((head, body)))
        };
        let routes = Router::new()
            .route("/tickets.json", json(list))
            .route("/tickets/7.json", json(one));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let desk_url = format!("http://{}", listener.local_addr().unwrap());
        let serving = async move { axum::serve(listener, routes).await.unwrap() };
        Self {
            folder,
            desk_url,
            _desk: AbortOnDropHandle::new(tokio::spawn(serving)),
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.join("tributary.yaml")
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{file} has no `{from}`");
        std::fs::write(path, before.replacen(from, to, 1)).unwrap();
    }

    /// Runs the program in the reader's folder; what it printed, which must have gone well.
    async fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(arguments)
            .current_dir(&self.folder)
            .env("TRIBUTARY_SECRET", SECRET)
            .env("DESK_URL", &self.desk_url)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {printed}{said}");
        printed
    }

    /// Asks a gateway that was started from the files.
    async fn ask(&self, token: &str, query: &str) -> Value {
        let environment = [("TRIBUTARY_SECRET", SECRET), ("DESK_URL", &self.desk_url)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let loaded = load::load(&self.config(), &Environment::of(environment));
        let (loaded, _) = loaded.unwrap_or_else(|problems| panic!("{}", problems.render_plain()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/graphql", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let gateway = Gateway::new(loaded).unwrap();
        let running = tokio::spawn(gateway.serve(listener, stop.clone()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client
            .post(url)
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(json!({"query": query}).to_string())
            .send();
        let body = answer.await.unwrap().text().await.unwrap();
        drop(client);
        stop.cancel();
        running.await.unwrap();
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn the_first_connector_of_the_readme_is_answered_as_it_says() {
    let tutorial = Tutorial::follow("readme").await;
    tutorial.run(&["check"]).await;
    let command = between("Bearer $(tributary ", ")\"");
    let arguments: Vec<&str> = command.split(' ').collect();
    let token = tutorial.run(&arguments).await;
    let query: Value = serde_json::from_str(&between("  -d '", "'\n```")).unwrap();
    let query = query["query"].as_str().unwrap();
    let answer = tutorial.ask(token.trim(), query).await;
    let expected = json!({"data": {"tickets": {"nodes": [
        {"subject": "Where is my parcel?", "status": "OPEN", "rawStatus": "open", "sources": [{"remoteId": "7"}]},
        {"subject": "Wrong size", "status": "OTHER", "rawStatus": "parked", "sources": [{"remoteId": "8"}]},
    ]}}});
    assert_eq!(sorted(answer), expected);

    tutorial.edit(
        "tributary.yaml",
        "auth:",
        &format!("{}\nauth:", between("Add `", "` to `tributary.yaml`")),
    );
    tutorial.edit(
        "desk.yaml",
        "    subject: title\n",
        "    subject: title\n    team: team\n",
    );
    tutorial.run(&["check"]).await;
    let schema = tutorial
        .run(&["schema", "--config", "tributary.yaml"])
        .await;
    assert!(schema.contains("The team that works on it."), "{schema}");
    let answer = tutorial
        .ask(token.trim(), "{ tickets { nodes { subject team } } }")
        .await;
    let expected = json!({"data": {"tickets": {"nodes": [
        {"subject": "Where is my parcel?", "team": "north"},
        {"subject": "Wrong size", "team": "south"},
    ]}}});
    assert_eq!(sorted(answer), expected);
}

/// The answer with its tickets by subject, since the README promises no order.
fn sorted(mut answer: Value) -> Value {
    if let Some(nodes) = answer["data"]["tickets"]["nodes"].as_array_mut() {
        nodes.sort_by_key(|node| node["subject"].to_string());
    }
    answer
}

/// The code block of the README that begins like this.
fn block(start: &str) -> String {
    let readme = text("README.md").unwrap();
    let at = readme.find(&format!("\n{start}")).unwrap() + 1;
    let end = readme[at..].find("```").unwrap();
    readme[at..at + end].to_owned()
}

/// What stands in the README between two texts.
fn between(before: &str, after: &str) -> String {
    let readme = text("README.md").unwrap();
    let at = readme.find(before).unwrap() + before.len();
    let end = readme[at..].find(after).unwrap();
    readme[at..at + end].to_owned()
}

#[tokio::test]
async fn the_first_query_is_answered_as_written() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let block = |kind: &str| -> String {
        let after = readme.split(&format!("```{kind}\n")).nth(1).unwrap();
        after.split("```").next().unwrap().to_owned()
    };
    let gateway = crate::support::gateway::Running::start().await;
    let expected: serde_json::Value = serde_json::from_str(&block("json")).unwrap();
    assert_eq!(gateway.ask(&block("graphql")).await, expected);
    gateway.stop().await;
}

#[tokio::test]
async fn the_query_for_a_history_is_answered_in_the_order_it_promises() {
    let query = block(
        "{\n  customerByIdentifier(identifier: { email: \"ana.silva@acme-industries.io\" }) {\n    timeline(",
    );
    let gateway = crate::support::gateway::Running::start().await;
    let data = gateway.data(&query).await;
    let nodes = data["customerByIdentifier"]["timeline"]["nodes"]
        .as_array()
        .unwrap();
    assert_eq!(nodes.len(), 5, "{data:#}");
    let times = nodes
        .iter()
        .map(|node| node["occurredAt"].as_str().unwrap());
    assert!(times.rev().is_sorted(), "{data:#}");
    gateway.stop().await;
}
