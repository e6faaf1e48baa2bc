//! What one vendor that hangs does to queries that do not use it.

use std::fmt::Write;

use tributary::sandbox::Vendor;

use crate::Outcome;
use crate::gateway::Caching;
use crate::load::{Ask, Times, apply};
use crate::scene::Scene;
use crate::table::milliseconds;
use crate::wire::post;

/// How many connections ask for what does not hang; as many ask for what does.
pub const CONNECTIONS: usize = 16;

/// Uses the marketing tool only.
const BYSTANDER: &str =
    "query($first: Int!) { campaigns(first: $first) { nodes { name status } } }";
/// Uses the helpdesk only.
const VICTIM: &str = "query($first: Int!) { tickets(first: $first) { nodes { subject status } } }";

/// Measures the bystanders alone, beside others, and beside others whose vendor hangs.
pub async fn measure(scene: &Scene, times: Times) -> Outcome<String> {
    let gateway = scene.gateway(Caching::Cold)?;
    let asks = |query: &str| {
        let mut asks = Vec::new();
        for first in 1..=CONNECTIONS {
            let variables = serde_json::json!({ "first": first });
            let body = serde_json::json!({ "query": query, "variables": variables });
            let request = post("/graphql", &gateway.token, &body.to_string());
            asks.push(vec![Ask {
                request,
                expected: None,
            }]);
        }
        asks
    };
    let (bystanders, victims) = (asks(BYSTANDER), asks(VICTIM));
    let mut text = format!(
        "\nOne source hanging: {CONNECTIONS} connections that ask the marketing tool for campaigns, nothing cached\n\
         {:<50}requests/s       p50       p99\n",
        ""
    );
    for (name, others, hanging) in [
        ("alone", false, None),
        (
            "beside as many that ask the helpdesk for tickets",
            true,
            None,
        ),
        (
            "the same, and the helpdesk hangs",
            true,
            Some(Vendor::Helpdesk),
        ),
    ] {
        scene.vendors.hang(hanging);
        let main = apply(gateway.address, &bystanders, times, || Ok(()));
        let load = if others {
            // What the victims are told is not what is measured.
            let beside = apply(gateway.address, &victims, times, || Ok(()));
            tokio::pin!(main, beside);
            tokio::select! {
                load = &mut main => load?,
                load = &mut beside => { load?; main.await? }
            }
        } else {
            main.await?
        };
        scene.vendors.hang(None);
        let wrong = load.first_wrong.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "{name:<50}{:>10.0}{:>10}{:>10}  {wrong}",
            load.rate(),
            milliseconds(load.quantile(500)),
            milliseconds(load.quantile(990))
        );
    }
    Ok(text)
}
