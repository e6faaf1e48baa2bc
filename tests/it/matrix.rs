//! Every field and every root of the graph, by every route, for roles that may not see some of it: no protected value is in any
//! byte of any answer. The protected values are canaries that the connector files plant.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use tributary::app::load;
use tributary::auth::caller::Caller;
use tributary::config::diagnostic::Diagnostics;
use tributary::engine::Engine;
use tributary::sandbox::{Options, Sandbox};
use tributary::schema::{Catalog, FieldDef};

use super::support::caller::{ask, caller, text};
use super::support::gateway::{ALL, CONFIG, Setup};

/// Entities with the scope that guards them.
const GUARDED: [(&str, &str); 10] = [
    ("Customer", "customer:read"),
    ("Account", "account:read"),
    ("Order", "order:read"),
    ("Ticket", "ticket:read"),
    ("TicketComment", "ticket:read"),
    ("Campaign", "campaign:read"),
    ("CampaignMember", "campaign:read"),
    ("Payment", "payment:read"),
    ("Message", "message:read"),
    ("SocialProfile", "social:read"),
];

fn extension() -> String {
    let mut text = String::new();
    for (entity, _) in GUARDED {
        let _ = writeln!(
            text,
            "extend type {entity} {{ canary: String @requiresScopes(scopes: [[\"canary:read\"]]) }}"
        );
    }
    text.push_str("extend type EmailContactPoint { canary: String @requiresScopes(scopes: [[\"canary:read\"]]) }\n");
    text.push_str("extend input OrderFilter { canary: [String!] @matches(field: \"canary\") }\n");
    text.push_str("extend enum TicketSortField { CANARY @sortsBy(field: \"canary\") }\n");
    text
}

/// A connector file in which every entity has a canary, and every e-mail address of the first one too.
fn planted(file: &str) -> String {
    let mut out = String::new();
    let mut entity = "";
    for line in file.lines() {
        let name = line.trim_end_matches(':');
        if line.ends_with(':') && GUARDED.iter().any(|(known, _)| *known == name) {
            entity = name;
        }
        let _ = writeln!(out, "{line}");
        if line == "  fields:" && !entity.is_empty() {
            let _ = writeln!(out, "    canary: \"'CANARY-' ~ '{entity}'\"");
        }
        if line == "        address: address" {
            let _ = writeln!(out, "        canary: \"'CANARY-' ~ 'Mail'\"");
        }
    }
    out
}

fn policy() -> String {
    let mut text = String::from("policy:\n  rows:\n    ruled:\n");
    for (entity, _) in GUARDED {
        let _ = writeln!(text, "      {entity}: record.canary == caller.nothing");
    }
    text.push_str("  masks:\n    masked:\n");
    for (entity, _) in GUARDED {
        let more = if entity == "Customer" {
            ", emails.canary: redact"
        } else {
            ""
        };
        let _ = writeln!(text, "      {entity}: {{ canary: redact{more} }}");
    }
    text
}

/// How a selection is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Aliased,
    Fragments,
}

struct Writer<'c> {
    catalog: &'c Catalog,
    style: Style,
    fields_seen: BTreeSet<String>,
    fragments: String,
    count: usize,
    /// How often each type was written out whole; a query of everything everywhere would be too large.
    written: std::collections::BTreeMap<String, usize>,
}

impl<'c> Writer<'c> {
    fn new(catalog: &'c Catalog, style: Style) -> Self {
        Self {
            catalog,
            style,
            fields_seen: BTreeSet::new(),
            fragments: String::new(),
            count: 0,
            written: std::collections::BTreeMap::new(),
        }
    }

    fn is_entity(&self, ty: &str) -> bool {
        self.catalog.entity(ty).is_some()
    }

    /// Everything that can be selected on a type; other entities are entered that many steps deep.
    fn selection(&mut self, ty: &str, hops: usize) -> String {
        let Some((_, object)) = self.catalog.object(ty) else {
            return "__typename".to_owned();
        };
        let written = self.written.entry(ty.to_owned()).or_default();
        *written += 1;
        let is_short = *written > 2;
        let mut parts = vec!["__typename".to_owned()];
        for field in &object.fields {
            if is_short && !self.catalog.is_leaf(&field.ty.name) {
                continue;
            }
            if let Some(part) = self.field(field, hops) {
                self.fields_seen.insert(format!("{ty}.{}", field.name));
                parts.push(part);
            }
        }
        match self.style {
            Style::Plain | Style::Aliased => parts.join(" "),
            Style::Fragments => {
                self.count += 1;
                let name = format!("F{}", self.count);
                let (inline, named) = parts.split_at(parts.len() / 2);
                let named = if named.is_empty() {
                    "__typename".to_owned()
                } else {
                    named.join(" ")
                };
                let _ = writeln!(self.fragments, "fragment {name} on {ty} {{ {named} }}");
                format!(
                    "... on {ty} {{ __typename {} }} ...{name}",
                    inline.join(" ")
                )
            }
        }
    }

    fn field(&mut self, field: &FieldDef, hops: usize) -> Option<String> {
        let required = field
            .arguments
            .iter()
            .any(|argument| !argument.ty.nullable && argument.default.is_none());
        if required {
            return None;
        }
        let has_first = field
            .arguments
            .iter()
            .any(|argument| &*argument.name == "first");
        let arguments = if has_first { "(first: 2)" } else { "" };
        self.count += 1;
        let alias = if self.style == Style::Aliased {
            format!("a{}: ", self.count)
        } else {
            String::new()
        };
        let head = format!("{alias}{}{arguments}", field.name);
        if self.catalog.is_leaf(&field.ty.name) {
            return Some(head);
        }
        let enters = self.is_entity(&field.ty.name) || has_first;
        let left = if enters { hops.checked_sub(1)? } else { hops };
        // Edges and nodes of a list are entered at its price.
        let left = if has_first { left + 1 } else { left };
        let inner = self.selection(&field.ty.name, left);
        Some(format!("{head} {{ {inner} }}"))
    }
}

struct World {
    gateway: tributary::app::Gateway,
    catalog: Catalog,
    _sandbox: Arc<Sandbox>,
    folder: std::path::PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn world() -> World {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let folder = std::env::temp_dir().join(format!("tributary-{name}"));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("extension.graphql");
    std::fs::write(&path, extension()).unwrap();
    let options = Options {
        customers: 30,
        ..Options::default()
    };
    let mut setup = Setup {
        config: format!(
            "{CONFIG}{}schema: {{ extensions: [{}] }}\nlimits: {{ complexity: 1000000, fields: 10000, depth: 30 }}\n",
            policy(),
            path.display()
        ),
        sandbox: Some(Arc::new(Sandbox::start(options).await.unwrap())),
        ..Setup::default()
    };
    for connector in &mut setup.connectors {
        connector.text = planted(&connector.text);
    }
    let (gateway, sandbox) = setup.build().await;
    let catalog = load::catalog(&[path], &mut Diagnostics::new()).unwrap();
    World {
        gateway,
        catalog,
        _sandbox: sandbox,
        folder,
    }
}

/// Two ids of each entity, and two addresses, as a caller with every scope sees them.
async fn known(engine: &Engine, whole: &Arc<Caller>) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let query = "{ Customer: customers(first: 2) { nodes { id primaryEmail { address } campaignMemberships(first: 1) { nodes { id } } } }
      Account: accounts(first: 2) { nodes { id } } Order: orders(first: 2) { nodes { id } }
      Ticket: tickets(first: 2) { nodes { id } } Campaign: campaigns(first: 2) { nodes { id } } }";
    let answer = ask(engine, query, whole).await;
    let data = answer["data"]
        .as_object()
        .unwrap_or_else(|| panic!("{answer:#}"));
    let texts = |list: &Value, field: &str| {
        let items = list["nodes"].as_array().unwrap().iter();
        items
            .filter_map(|node| node[field].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let ids = data
        .iter()
        .map(|(name, list)| (name.clone(), texts(list, "id")))
        .collect();
    let customers = data["Customer"]["nodes"].as_array().unwrap();
    let mails = customers
        .iter()
        .filter_map(|node| node["primaryEmail"]["address"].as_str().map(str::to_owned));
    (ids, mails.collect())
}

/// Every root with everything below it, in one style.
fn routes(
    catalog: &Catalog,
    known: &(Vec<(String, Vec<String>)>, Vec<String>),
    style: Style,
    seen: &mut BTreeSet<String>,
) -> Vec<String> {
    let mut queries = Vec::new();
    let mut add = |head: &str, ty: &str, hops: usize, wrap: &dyn Fn(String) -> String| {
        let mut writer = Writer::new(catalog, style);
        let selection = wrap(writer.selection(ty, hops));
        seen.append(&mut writer.fields_seen);
        queries.push(format!(
            "{{ x: {head} {{ {selection} }} }}\n{}",
            writer.fragments
        ));
    };
    let same = |inner: String| inner;
    for (entity, ids) in &known.0 {
        let root = entity.to_lowercase();
        let id = &ids[0];
        add(&format!("{root}(id: \"{id}\")"), entity, 2, &same);
        let on = |inner: String| format!("id ... on {entity} {{ {inner} }}");
        add(&format!("node(id: \"{id}\")"), entity, 1, &on);
        let through = |inner: String| {
            format!(
                "... on FederatedEntity {{ id sources {{ remoteId }} ... on Node {{ ... on {entity} {{ {inner} }} }} }}"
            )
        };
        let list: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
        add(
            &format!("nodes(ids: [{}])", list.join(", ")),
            entity,
            1,
            &through,
        );
        add(
            &format!("{root}s(first: 2)"),
            &format!("{entity}Connection"),
            2,
            &same,
        );
    }
    for mail in &known.1 {
        add(
            &format!("customerByIdentifier(identifier: {{email: \"{mail}\"}})"),
            "Customer",
            1,
            &same,
        );
    }
    add("sources", "Source", 1, &same);
    add("source(key: \"crm\")", "Source", 1, &same);
    add("viewer", "Viewer", 1, &same);
    for oracle in [
        "orders(first: 2, filter: {canary: [\"CANARY-Order\"]})",
        "orders(first: 2, filter: {canary: [\"other\"]})",
    ] {
        add(oracle, "OrderConnection", 1, &same);
    }
    add(
        "tickets(first: 2, sort: {field: CANARY})",
        "TicketConnection",
        1,
        &same,
    );
    queries
}

/// The canaries that the answers of all routes have in them.
async fn canaries(world: &World, queries: &[String], who: &Arc<Caller>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for query in queries {
        let answer = text(world.gateway.engine(), query, who).await;
        let short = |text: &str| text.chars().take(300).collect::<String>();
        let is_answer = answer.contains("\"data\"");
        assert!(is_answer, "{}\n{}", short(query), short(&answer));
        for part in answer.split("CANARY-").skip(1) {
            found.insert(part.chars().take_while(|c| c.is_alphabetic()).collect());
        }
        // A cursor could carry a value out of sight.
        for cursor in answer.split("ursor\":\"").skip(1) {
            let cursor = cursor.split('"').next().unwrap();
            let bytes =
                base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, cursor);
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).to_lowercase();
            if text.contains("canary-") {
                found.insert("cursor".to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_protected_value_is_in_any_byte_of_any_answer() {
    let begun = std::time::Instant::now();
    let world = world().await;
    let every: Vec<&str> = ALL.iter().copied().chain(["canary:read"]).collect();
    let whole = caller(&every, &[], &[]);
    let known = known(world.gateway.engine(), &whole).await;
    let mut seen = BTreeSet::new();
    let queries: Vec<String> = [Style::Plain, Style::Aliased, Style::Fragments]
        .into_iter()
        .flat_map(|style| routes(&world.catalog, &known, style, &mut seen))
        .collect();

    let shown = canaries(&world, &queries, &whole).await;
    for (entity, _) in GUARDED {
        assert!(
            shown.contains(entity),
            "no route shows the canary of {entity}: {shown:?}"
        );
    }
    assert!(shown.contains("Mail"));

    let mut roles: Vec<(String, Arc<Caller>, Vec<&str>)> = vec![
        (
            "without canary:read".into(),
            caller(ALL, &[], &[]),
            vec!["Mail", "cursor"],
        ),
        (
            "masked".into(),
            caller(&every, &["masked"], &[]),
            vec!["Mail", "cursor"],
        ),
        (
            "ruled".into(),
            caller(&every, &["ruled"], &[("nothing", json!("nothing"))]),
            vec!["Mail", "cursor"],
        ),
        (
            "ruled without its claim".into(),
            caller(&every, &["ruled"], &[]),
            vec!["Mail", "cursor"],
        ),
        (
            "without scopes".into(),
            caller(&[], &[], &[]),
            vec!["Mail", "cursor"],
        ),
    ];
    for role in &mut roles {
        role.2.extend(GUARDED.iter().map(|(entity, _)| *entity));
    }
    for scope in [
        "customer:read",
        "account:read",
        "order:read",
        "ticket:read",
        "campaign:read",
        "payment:read",
        "message:read",
        "social:read",
    ] {
        let others: Vec<&str> = every
            .iter()
            .copied()
            .filter(|other| *other != scope)
            .collect();
        let guarded = GUARDED.iter().filter(|(_, guard)| *guard == scope);
        roles.push((
            format!("without {scope}"),
            caller(&others, &[], &[]),
            guarded.map(|(entity, _)| *entity).collect(),
        ));
    }
    for (name, who, protected) in &roles {
        let shown = canaries(&world, &queries, who).await;
        for value in protected {
            assert!(
                !shown.contains(*value),
                "a caller {name} sees {value}: {shown:?}"
            );
        }
    }
    let all: usize = world
        .catalog
        .types()
        .iter()
        .filter_map(|def| world.catalog.object(&def.name))
        .filter(|(def, _)| &*def.name != "Query")
        .map(|(_, object)| object.fields.len())
        .sum();
    assert!(
        seen.len() * 10 >= all * 9,
        "{} of {all} fields are on a route",
        seen.len()
    );
    eprintln!(
        "matrix: {} of {all} fields, {} routes, {} roles in {} ms",
        seen.len(),
        queries.len(),
        roles.len() + 1,
        begun.elapsed().as_millis()
    );
}
