//! The helpdesk: REST and JSON behind HTTP Basic, cursor paging, and a search that finds more than it was asked for.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::Method;
use serde_json::{Value, json};

use crate::sandbox::{
    Vendor,
    company::{
        Company,
        clock::{blank_separated, rfc3339},
        people::Person,
        tickets::{STATUSES, TOPICS, Ticket},
    },
    message::{Answer, Request, cursor, place},
    serving::Shared,
};

const ITEMS_MAX: usize = 100;
const PRIORITIES: [&str; 5] = ["low", "normal", "high", "urgent", ""];
const TYPES: [&str; 4] = ["question", "incident", "problem", "task"];
const CHANNELS: [&str; 5] = ["web", "email", "chat", "voice", "fax"];
const AGENTS: [&str; 4] = ["Priya Nair", "Tom Becker", "Lucía Vega", "Sven Åberg"];
const GROUPS: [&str; 3] = ["Support", "Returns", "Billing"];
const MINUTE: Duration = Duration::from_mins(1);

/// Counts calls in minutes, for the answer 429.
#[derive(Debug)]
pub(crate) struct Window {
    max: Option<u32>,
    now: Mutex<Option<(Instant, u32)>>,
}

impl Window {
    /// A window with room for so many calls; boundless when absent.
    pub(crate) fn new(max: Option<u32>) -> Self {
        Self {
            max,
            now: Mutex::new(None),
        }
    }

    /// Counts a call; the time to wait when there is no room for it.
    fn wait(&self) -> Option<Duration> {
        let max = self.max?;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (started, count) = now.get_or_insert_with(|| (Instant::now(), 0));
        if started.elapsed() >= MINUTE {
            (*started, *count) = (Instant::now(), 0);
        }
        *count += 1;
        (*count > max).then(|| MINUTE.saturating_sub(started.elapsed()))
    }
}

fn parts(request: &Request) -> Vec<&str> {
    let below = request.path.strip_prefix("/api/v2/").unwrap_or_default();
    below.split('/').collect()
}

/// The name of what is asked for.
pub(crate) fn operation(request: &Request) -> &'static str {
    match (&request.method, parts(request).as_slice()) {
        (&Method::GET, ["users", "show_many.json"]) => "users.show_many",
        (&Method::GET, ["users", "search.json"]) => "users.search",
        (&Method::GET, ["search.json"]) => "search",
        (&Method::GET, ["users", _, "tickets", "requested.json"]) => "users.tickets",
        (&Method::POST, ["tickets", "by_requesters.json"]) => "tickets.by_requesters",
        (&Method::GET, ["tickets", "show_many.json"]) => "tickets.show_many",
        (&Method::GET, ["tickets.json"]) => "tickets.list",
        (&Method::GET, ["tickets", "comments", "show_many.json"]) => "comments.show_many",
        _ => "unknown",
    }
}

/// Answers a request.
pub(crate) fn answer(request: &Request, company: &Company, shared: &Shared) -> Answer {
    let known = &shared.credentials;
    let user = format!("{}/token", known.helpdesk_user);
    if request.basic() != Some((user, known.helpdesk_token.clone())) {
        return error(401, "Couldn't authenticate you", "Check user and token.");
    }
    if let Some(wait) = shared.window.wait() {
        return error(
            429,
            "TooManyRequests",
            "Number of allowed API requests per minute exceeded",
        )
        .with_header("retry-after", (wait.as_secs() + 1).to_string());
    }
    let answered = match operation(request) {
        "users.show_many" => show_users(request, company),
        "users.search" => search_users(request, company),
        "search" => search(request, company),
        "users.tickets" => tickets_of_user(request, company),
        "tickets.by_requesters" => tickets_by_requesters(request, company),
        "tickets.show_many" => show_tickets(request, company),
        "tickets.list" => list_tickets(request, company),
        "comments.show_many" => show_comments(request, company),
        _ => return error(404, "InvalidEndpoint", "Not found"),
    };
    answered.unwrap_or_else(|message| error(400, "InvalidParameter", &message))
}

/// The helpdesk's form of an error.
pub(crate) fn error(status: u16, name: &str, description: &str) -> Answer {
    let details = json!({ "base": [{ "error": name, "description": description }] });
    Answer::json(
        status,
        &json!({ "error": name, "description": description, "details": details }),
    )
}

fn refuse_unknown(request: &Request, known: &[&str]) -> Result<(), String> {
    match request.unknown_param(known) {
        Some(name) => Err(format!("{name} is not a parameter")),
        None => Ok(()),
    }
}

fn csv<'a>(request: &'a Request, name: &str) -> Result<Vec<&'a str>, String> {
    let text = request.param(name).ok_or(format!("{name} is missing"))?;
    let ids: Vec<&str> = text.split(',').filter(|id| !id.is_empty()).collect();
    if ids.len() > ITEMS_MAX {
        return Err(format!("{name} has more than {ITEMS_MAX} entries"));
    }
    Ok(ids)
}

fn show_users(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["ids", "external_ids"])?;
    let mut users = Vec::new();
    if request.param("external_ids").is_some() {
        for id in csv(request, "external_ids")? {
            let person = company
                .by_crm_id(id)
                .filter(|one| one.is_in(Vendor::Helpdesk));
            users.extend(
                person
                    .filter(|one| one.crm_id_in_helpdesk().is_some())
                    .map(user),
            );
        }
    } else {
        for id in csv(request, "ids")? {
            users.extend(company.by_helpdesk_id(id).map(user));
        }
    }
    Ok(Answer::json(
        200,
        &json!({ "count": users.len(), "users": users }),
    ))
}

/// Finds users whose address begins with the wanted one's local part, as real searches do: clients must check again.
fn search_users(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["query"])?;
    let query = request.param("query").ok_or("query is missing")?;
    let term = query
        .trim()
        .strip_prefix("email:")
        .ok_or("only email: is searched")?;
    let wanted = term.trim_matches('"').to_lowercase();
    if wanted.is_empty() || wanted.contains([' ', '"']) {
        return Err("the term is not one address".to_owned());
    }
    let stem = wanted.split('@').next().unwrap_or_default();
    let mut exact = Vec::new();
    let mut near = Vec::new();
    for person in company.people_in(Vendor::Helpdesk) {
        let addresses = addresses(person);
        if addresses.iter().any(|one| one.to_lowercase() == wanted) {
            exact.push(user(person));
        } else if near.is_empty()
            && addresses
                .iter()
                .any(|one| one.to_lowercase().starts_with(stem))
        {
            near.push(user(person));
        }
    }
    exact.extend(near);
    let found = json!({ "count": exact.len(), "users": exact, "next_page": null });
    Ok(Answer::json(200, &found))
}

/// How many hits one search brings.
const HITS_MAX: usize = 25;

fn search(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["type", "query"])?;
    let text = request.param("query").ok_or("query is missing")?;
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let has_all = |text: String| {
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let results: Vec<Value> = match request.param("type") {
        Some("ticket") => {
            let tickets = company.tickets.iter().rev().filter(|one| {
                let (subject, description) = topic_of(one);
                has_all(format!("{subject} {description}"))
            });
            let tickets = tickets.take(HITS_MAX);
            tickets.map(|one| ticket(one, company)).collect()
        }
        Some("user") => {
            let people = company.people_in(Vendor::Helpdesk);
            let people = people.filter(|one| has_all(format!("{} {}", one.given, one.family)));
            people.take(HITS_MAX).map(user).collect()
        }
        _ => return Err("type is ticket or user".to_owned()),
    };
    let body = json!({ "count": results.len(), "results": results });
    Ok(Answer::json(200, &body))
}

fn page_of<'a, T>(
    (size, after): (usize, Option<&str>),
    items: &'a [T],
) -> Result<(&'a [T], Option<String>), String> {
    if size == 0 || size > ITEMS_MAX {
        return Err(format!("page[size] must be from 1 to {ITEMS_MAX}"));
    }
    let start = match after {
        Some(text) => place(text).ok_or("page[after] is not a cursor")?,
        None => 0,
    };
    let rest = items.get(start..).unwrap_or_default();
    let next = (rest.len() > size).then(|| cursor(start + size));
    Ok((rest.get(..size).unwrap_or(rest), next))
}

fn ticket_page(request: &Request, items: &[&Ticket], company: &Company) -> Result<Answer, String> {
    let size = request.number("page[size]", ITEMS_MAX, ITEMS_MAX)?;
    let (rows, next) = page_of((size, request.param("page[after]")), items)?;
    let rows: Vec<Value> = rows.iter().map(|one| ticket(one, company)).collect();
    let link = next.as_ref().map(|next| {
        format!(
            "http://{}{}?page[size]={size}&page[after]={next}",
            request.header("host"),
            request.path
        )
    });
    let meta = json!({ "has_more": next.is_some(), "after_cursor": next });
    Ok(Answer::json(
        200,
        &json!({ "tickets": rows, "meta": meta, "links": { "next": link } }),
    ))
}

fn tickets_of_user(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["page[size]", "page[after]"])?;
    let id = parts(request)
        .get(1)
        .copied()
        .unwrap_or_default()
        .to_owned();
    let Some(person) = company.by_helpdesk_id(&id) else {
        return Ok(error(404, "RecordNotFound", "Not found"));
    };
    let tickets: Vec<&Ticket> = company.tickets_of(person.index).iter().collect();
    ticket_page(request, &tickets, company)
}

fn tickets_by_requesters(request: &Request, company: &Company) -> Result<Answer, String> {
    let body = request.json().ok_or("the body is not application/json")?;
    let ids = body.get("requester_ids").and_then(Value::as_array);
    let ids = ids.ok_or("requester_ids is missing")?;
    if ids.len() > ITEMS_MAX {
        return Err(format!("requester_ids has more than {ITEMS_MAX} entries"));
    }
    let mut tickets: Vec<&Ticket> = Vec::new();
    for id in ids {
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        if let Some(person) = company.by_helpdesk_id(&id) {
            tickets.extend(company.tickets_of(person.index));
        }
    }
    tickets.sort_by_key(|one| (std::cmp::Reverse(one.updated), one.index));
    tickets.dedup_by_key(|one| one.index);
    let size = body.get("page_size").and_then(Value::as_u64).unwrap_or(100);
    let after = body.get("after_cursor").and_then(Value::as_str);
    let size = usize::try_from(size).unwrap_or(0);
    let (rows, next) = page_of((size, after), &tickets)?;
    let rows: Vec<Value> = rows.iter().map(|one| ticket(one, company)).collect();
    let meta = json!({ "has_more": next.is_some(), "after_cursor": next });
    Ok(Answer::json(200, &json!({ "tickets": rows, "meta": meta })))
}

fn ticket_by_id<'a>(company: &'a Company, id: &str) -> Option<&'a Ticket> {
    let offset = id.parse::<usize>().ok()?.checked_sub(500_001)?;
    company.tickets.get(offset)
}

fn show_tickets(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["ids"])?;
    let ids = csv(request, "ids")?;
    let found = ids.iter().filter_map(|id| ticket_by_id(company, id));
    let rows: Vec<Value> = found.map(|one| ticket(one, company)).collect();
    Ok(Answer::json(
        200,
        &json!({ "count": rows.len(), "tickets": rows }),
    ))
}

fn list_tickets(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["page[size]", "page[after]", "status", "sort"])?;
    let status = request.param("status");
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        return Err(format!("{status} is not a status"));
    }
    let found = company.tickets.iter();
    let found = found.filter(|one| status.is_none_or(|status| status_of(one) == Some(status)));
    let mut found: Vec<&Ticket> = found.collect();
    match request.param("sort") {
        None => {}
        Some("created_at") => found.sort_by_key(|one| one.created),
        Some("-created_at") => found.sort_by_key(|one| std::cmp::Reverse(one.created)),
        Some("updated_at") => found.sort_by_key(|one| one.updated),
        Some("-updated_at") => found.sort_by_key(|one| std::cmp::Reverse(one.updated)),
        Some(other) => return Err(format!("cannot sort by {other}")),
    }
    ticket_page(request, &found, company)
}

fn show_comments(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["ticket_ids"])?;
    let ids = csv(request, "ticket_ids")?;
    let mut comments = Vec::new();
    for ticket in ids.iter().filter_map(|id| ticket_by_id(company, id)) {
        comments.extend((0..ticket.comments).map(|number| comment(ticket, number, company)));
    }
    Ok(Answer::json(
        200,
        &json!({ "count": comments.len(), "comments": comments }),
    ))
}

fn status_of(ticket: &Ticket) -> Option<&'static str> {
    STATUSES.get(usize::from(ticket.status)).copied()
}

fn word<const N: usize>(words: &[&'static str; N], number: u64) -> &'static str {
    let place = usize::try_from(number % N as u64).unwrap_or(0);
    words.get(place).copied().unwrap_or_default()
}

fn addresses(person: &Person) -> Vec<String> {
    let mut addresses = vec![person.email_in(Vendor::Helpdesk)];
    addresses.extend(person.relay_email.as_ref().map(ToString::to_string));
    if person.index == 0 {
        addresses.extend(person.private_email.as_ref().map(ToString::to_string));
    }
    addresses.retain(|address| !address.is_empty());
    addresses
}

fn user(person: &Person) -> Value {
    let identities = addresses(person);
    let identities: Vec<Value> = identities
        .iter()
        .enumerate()
        .map(|(place, one)| json!({ "type": "email", "value": one, "primary": place == 0, "verified": place == 0 }))
        .collect();
    json!({
        "id": person.helpdesk_id(),
        "name": format!("{} {}", person.given.to_lowercase(), person.family.to_lowercase()),
        "email": person.email_in(Vendor::Helpdesk),
        "identities": identities,
        "phone": if person.vary(61, 3) == 0 { Value::Null } else { json!(person.phone_in(Vendor::Helpdesk)) },
        "external_id": person.crm_id_in_helpdesk(),
        "organization_id": 8_000 + person.employer,
        "locale": person.culture().language,
        "role": "end-user",
        "active": person.index == 0 || person.vary(62, 30) > 0,
        "tags": [],
        "notes": "",
        "created_at": rfc3339(person.created(Vendor::Helpdesk)),
        "updated_at": rfc3339(person.updated(Vendor::Helpdesk)),
        "last_login_at": blank_separated(person.updated(Vendor::Helpdesk)),
    })
}

/// Subject and text.
fn topic_of(ticket: &Ticket) -> (&'static str, &'static str) {
    let place = usize::from(ticket.topic);
    TOPICS.get(place).copied().unwrap_or_default()
}

fn agent(number: u64) -> Value {
    let name = word(&AGENTS, number);
    let email = format!("agent{}@tributary-sandbox.io", number % 4 + 1);
    json!({ "id": 900 + number % 4, "name": name, "email": email })
}

fn ticket(ticket: &Ticket, company: &Company) -> Value {
    let mood = ticket.mood;
    let topic = topic_of(ticket);
    let person = company.person(ticket.person);
    let is_first = ticket.index == 0;
    let order = company.orders_of(ticket.person, Vendor::Erp).first();
    let order = order.map(crate::sandbox::erp::order_id);
    let score = ticket.score.map(|score| {
        json!({ "score": score, "comment": if mood.is_multiple_of(2) { Value::Null } else { json!("ok, thanks") } })
    });
    json!({
        "id": ticket.id(),
        "subject": topic.0,
        "description": topic.1,
        "status": status_of(ticket),
        "priority": if is_first { "high" } else { word(&PRIORITIES, mood >> 3) },
        "type": if mood.is_multiple_of(5) { Value::Null } else { json!(word(&TYPES, mood >> 5)) },
        "channel": word(&CHANNELS, mood >> 8),
        "requester_id": person.map(Person::helpdesk_id),
        "organization_id": person.map(|person| 8_000 + person.employer),
        "assignee": if !is_first && mood.is_multiple_of(7) { Value::Null } else { agent(mood >> 11) },
        "group": { "id": 40 + (mood >> 14) % 3, "name": word(&GROUPS, mood >> 14) },
        "tags": if mood.is_multiple_of(3) { json!(["vip", "delivery"]) } else { json!([]) },
        "satisfaction": score,
        "custom_fields": [{ "id": 36_001, "value": order }, { "id": 36_002, "value": mood.is_multiple_of(4) }],
        "created_at": rfc3339(ticket.created),
        "updated_at": rfc3339(ticket.updated),
        "solved_at": (ticket.status == 4 || ticket.status == 5).then_some(ticket.updated),
    })
}

fn comment(ticket: &Ticket, number: u8, company: &Company) -> Value {
    let topic = TOPICS
        .get(usize::from(ticket.topic))
        .copied()
        .unwrap_or_default();
    let requester = company.person(ticket.person).map(Person::helpdesk_id);
    let is_requester = number.is_multiple_of(2);
    json!({
        "id": ticket.comment_id(number),
        "ticket_id": ticket.id(),
        "author_id": if is_requester { json!(requester) } else { json!(900 + (ticket.mood >> 11) % 4) },
        "body": if number == 0 { topic.1 } else if is_requester { "Thank you, any news?" } else { "We are looking into it." },
        "public": number != 3,
        "created_at": rfc3339(ticket.created + u32::from(number) * 5_400),
    })
}
