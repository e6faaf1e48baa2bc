//! The social network's directory: REST and JSON behind a bearer token, paid for each profile that it gives. It knows the CRM's
//! ids of contacts as references.

use http::Method;
use serde_json::{Value, json};

use crate::sandbox::{
    Credentials, Vendor,
    company::{
        Company,
        clock::{DAY, PRESENT, rfc3339},
        people::{Person, latin},
    },
    message::{Answer, Request},
};

const REFERENCES_MAX: usize = 100;
/// Networks; clients do not know the last one.
const NETWORKS: [&str; 5] = ["x", "linkedin", "instagram", "github", "mastodon"];

/// The name of what is asked for.
pub(crate) fn operation(request: &Request) -> &'static str {
    match (&request.method, request.path.as_str()) {
        (&Method::GET, "/2/profiles") => "profiles.by_references",
        (&Method::GET, path) if path.starts_with("/2/profiles/") => "profiles.get",
        _ => "unknown",
    }
}

/// Answers a request.
pub(crate) fn answer(request: &Request, company: &Company, known: &Credentials) -> Answer {
    if request.header("authorization") != format!("Bearer {}", known.social_token) {
        return error(401, "Unauthorized", "Unauthorized");
    }
    match operation(request) {
        "profiles.by_references" => by_references(request, company)
            .unwrap_or_else(|detail| error(400, "Invalid Request", &detail)),
        "profiles.get" => get(request, company),
        _ => error(404, "Not Found", "There is nothing here."),
    }
}

/// The directory's form of an error.
pub(crate) fn error(status: u16, title: &str, detail: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "title": title, "detail": detail, "status": status }),
    )
}

fn by_references(request: &Request, company: &Company) -> Result<Answer, String> {
    if let Some(name) = request.unknown_param(&["references"]) {
        return Err(format!("The query parameter [{name}] is not valid."));
    }
    let references = request
        .param("references")
        .ok_or("references is required")?;
    let references: Vec<&str> = references.split(',').collect();
    if references.len() > REFERENCES_MAX {
        return Err(format!("references has more than {REFERENCES_MAX} values"));
    }
    let people = references.iter().filter_map(|id| company.by_crm_id(id));
    let data: Vec<Value> = people.flat_map(profiles).collect();
    let meta = json!({ "result_count": data.len() });
    Ok(Answer::json(200, &json!({ "data": data, "meta": meta })))
}

fn get(request: &Request, company: &Company) -> Answer {
    let id = request.path.rsplit('/').next().unwrap_or_default();
    let person = id
        .split('.')
        .next()
        .and_then(|index| index.parse().ok())
        .and_then(|index: usize| company.person(index));
    let mut found = person.into_iter().flat_map(profiles);
    match found.find(|profile| profile["id"] == id) {
        Some(profile) => Answer::json(200, &json!({ "data": profile })),
        None => error(404, "Not Found", "Could not find the profile."),
    }
}

/// The profiles of a person whom the CRM knows; each on another network.
fn profiles(person: &Person) -> Vec<Value> {
    if !person.is_in(Vendor::Crm) {
        return Vec::new();
    }
    let count = match person.index {
        0 => 2,
        _ => person.vary(80, 4),
    };
    let start = person.vary(81, 5);
    (0..count)
        .map(|number| profile(person, number, start))
        .collect()
}

fn profile(person: &Person, number: u64, start: u64) -> Value {
    let place = usize::try_from((start + number) % 5).unwrap_or(0);
    let network = NETWORKS.get(place).copied().unwrap_or_default();
    let handle = format!("{}{}", latin(&person.family, ""), person.index);
    let followers = person.vary(82 + number, 90_000);
    let age = u32::try_from(person.vary(90 + number, 300)).unwrap_or(0);
    json!({
        "id": format!("{}.{number}", person.index),
        "reference": person.crm_id().to_string(),
        "network": network,
        "network_id": (1_760_000_000_000_000_000_u64 + person.mood % 1_000_000_007).to_string(),
        "username": handle,
        "url": format!("https://{network}.example/{handle}"),
        "name": format!("{} {}", person.given, person.family),
        "description": if number == 0 { Value::Null } else { json!("Opinions are my own.") },
        "verified": followers > 50_000,
        "protected": person.vary(85 + number, 10) == 0,
        "public_metrics": { "followers": followers, "following": followers / 7, "posts": followers / 31 },
        "last_active": rfc3339(PRESENT - age * DAY),
    })
}
