//! The marketing system: REST and JSON behind a key header, one contact at a time, since it has no batch endpoints.

use http::Method;
use serde_json::{Value, json};

use crate::sandbox::{
    Credentials, Vendor,
    company::{
        Company,
        campaigns::{Campaign, MEMBER_STATUSES, Membership, STATUSES, SUBJECTS, TYPES},
        clock::DAY,
        people::Person,
    },
    message::{Answer, Request},
};

const COUNT_MAX: usize = 100;

/// The parts of a path below `/3.0`.
fn parts(request: &Request) -> Vec<&str> {
    let below = request.path.strip_prefix("/3.0/").unwrap_or_default();
    below.split('/').collect()
}

/// The name of what is asked for.
pub(crate) fn operation(request: &Request) -> &'static str {
    if request.method != Method::GET {
        return "unknown";
    }
    match parts(request).as_slice() {
        ["contacts"] => "contacts.find",
        ["contacts", _] => "contacts.get",
        ["contacts", _, "memberships"] => "contacts.memberships",
        ["campaigns"] => "campaigns.list",
        ["campaigns", _] => "campaigns.get",
        ["campaigns", _, "members"] => "campaigns.members",
        _ => "unknown",
    }
}

/// Answers a request.
pub(crate) fn answer(request: &Request, company: &Company, known: &Credentials) -> Answer {
    if request.header("x-api-key") != known.marketing_key {
        return problem(401, "API Key Invalid", "Your API key may be invalid.");
    }
    let answered = match (operation(request), parts(request).as_slice()) {
        ("contacts.find", _) => find_contacts(request, company),
        ("contacts.get", [_, id]) => get_contact(request, company, id),
        ("contacts.memberships", [_, id, _]) => memberships(request, company, id),
        ("campaigns.list", _) => list_campaigns(request, company),
        ("campaigns.get", [_, id]) => get_campaign(request, company, id),
        ("campaigns.members", [_, id, _]) => members(request, company, id),
        _ => return not_found(),
    };
    answered.unwrap_or_else(|detail| problem(400, "Invalid Resource", &detail))
}

/// The marketing system's form of an error: problem details.
pub(crate) fn problem(status: u16, title: &str, detail: &str) -> Answer {
    let body = json!({
        "type": "https://docs.marketing.invalid/errors", "title": title, "status": status, "detail": detail,
        "instance": "b1f7-sandbox",
    });
    Answer::new(status, "application/problem+json", body.to_string())
}

fn not_found() -> Answer {
    problem(
        404,
        "Resource Not Found",
        "The requested resource could not be found.",
    )
}

fn refuse_unknown(request: &Request, known: &[&str]) -> Result<(), String> {
    match request.unknown_param(known) {
        Some(name) => Err(format!("The parameter {name} is not supported.")),
        None => Ok(()),
    }
}

fn page<T>(
    request: &Request,
    name: &str,
    items: &[T],
    render: impl Fn(&T) -> Value,
) -> Result<Answer, String> {
    let count = request.number("count", 10, COUNT_MAX)?;
    let offset = request.number("offset", 0, usize::MAX)?;
    let rest = items.get(offset..).unwrap_or_default();
    let rows: Vec<Value> = rest.iter().take(count).map(render).collect();
    let mut body = serde_json::Map::new();
    body.insert(name.to_owned(), Value::Array(rows));
    body.insert("total_items".to_owned(), json!(items.len()));
    Ok(Answer::json(200, &Value::Object(body)))
}

fn find_contacts(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["email"])?;
    let email = request
        .param("email")
        .ok_or("The parameter email is required.")?;
    let wanted = email.to_lowercase();
    let mut people = company.people_in(Vendor::Marketing);
    let found = people.find(|one| one.email_in(Vendor::Marketing).to_lowercase() == wanted);
    let contacts: Vec<Value> = found.into_iter().map(contact).collect();
    let total = contacts.len();
    Ok(Answer::json(
        200,
        &json!({ "contacts": contacts, "total_items": total }),
    ))
}

fn get_contact(request: &Request, company: &Company, id: &str) -> Result<Answer, String> {
    refuse_unknown(request, &[])?;
    let found = company.by_marketing_id(id);
    Ok(found.map_or_else(not_found, |person| Answer::json(200, &contact(person))))
}

fn memberships(request: &Request, company: &Company, id: &str) -> Result<Answer, String> {
    refuse_unknown(request, &["count", "offset"])?;
    let Some(person) = company.by_marketing_id(id) else {
        return Ok(not_found());
    };
    let items = company.memberships_of(person.index);
    page(request, "memberships", items, |item| {
        membership(item, company)
    })
}

fn list_campaigns(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["count", "offset", "status", "since_updated"])?;
    let status = request.param("status");
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        return Err(format!("{status} is not a campaign status."));
    }
    let since = match request.param("since_updated") {
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| "since_updated is not a number of milliseconds.")?,
        None => 0,
    };
    let found = company.campaigns.iter();
    let found = found.filter(|one| u64::from(one.updated) * 1000 >= since);
    let found = found.filter(|one| status.is_none_or(|status| status_of(one) == Some(status)));
    let found: Vec<&Campaign> = found.collect();
    page(request, "campaigns", &found, |one| campaign(one, company))
}

fn get_campaign(request: &Request, company: &Company, id: &str) -> Result<Answer, String> {
    refuse_unknown(request, &[])?;
    let found = company.campaigns.iter().find(|one| one.id() == id);
    Ok(found.map_or_else(not_found, |one| Answer::json(200, &campaign(one, company))))
}

fn members(request: &Request, company: &Company, id: &str) -> Result<Answer, String> {
    refuse_unknown(request, &["count", "offset"])?;
    let Some(campaign) = company.campaigns.iter().find(|one| one.id() == id) else {
        return Ok(not_found());
    };
    let items = company.memberships.iter();
    let items = items.filter(|item| usize::from(item.campaign) == campaign.index);
    let items: Vec<&Membership> = items.collect();
    page(request, "members", &items, |item| membership(item, company))
}

fn status_of(campaign: &Campaign) -> Option<&'static str> {
    STATUSES.get(usize::from(campaign.status)).copied()
}

fn milliseconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}

fn contact(person: &Person) -> Value {
    let consent = match person.vary(51, 10) {
        0 => "unsubscribed",
        1 => "pending",
        2 => "cleaned",
        _ => "subscribed",
    };
    json!({
        "id": person.marketing_id(),
        "email_address": person.email_in(Vendor::Marketing),
        "full_name": format!("{} {}", person.given, person.family),
        "status": consent,
        "merge_fields": { "FNAME": person.given, "LNAME": person.family, "PHONE": if person.vary(52, 2) == 0 { person.phone_in(Vendor::Marketing) } else { String::new() } },
        "language": person.culture().language,
        "country": person.culture().country_code,
        "tags": [{ "id": 11, "name": "customers" }],
        "stats": { "avg_open_rate": 0.31, "avg_click_rate": 0.06 },
        "created_at": milliseconds(person.created(Vendor::Marketing)),
        "updated_at": milliseconds(person.updated(Vendor::Marketing)),
    })
}

fn membership(item: &Membership, company: &Company) -> Value {
    let campaign = company.campaigns.get(usize::from(item.campaign));
    let person = company.person(item.person as usize);
    let opened = (item.opens > 0).then(|| milliseconds(item.sent + 3_600));
    let clicked = (item.clicks > 0).then(|| milliseconds(item.sent + 7_200));
    json!({
        "id": format!("mem_{}", 400_000 + item.index),
        "contact_id": person.map(Person::marketing_id),
        "email_address": person.map(|person| person.email_in(Vendor::Marketing)),
        "campaign_id": campaign.map(Campaign::id),
        "campaign_title": campaign.map(title),
        "status": MEMBER_STATUSES.get(usize::from(item.status)),
        "opens": item.opens,
        "clicks": item.clicks,
        "sent_at": if item.status == 0 { None } else { Some(milliseconds(item.sent)) },
        "opened_at": opened,
        "clicked_at": clicked,
        "updated_at": milliseconds(item.sent + DAY),
    })
}

fn title(campaign: &Campaign) -> String {
    format!("Campaign {:02} · {}", campaign.index + 1, subject(campaign))
}

fn subject(campaign: &Campaign) -> &'static str {
    SUBJECTS
        .get(campaign.index % SUBJECTS.len())
        .copied()
        .unwrap_or_default()
}

fn campaign(one: &Campaign, company: &Company) -> Value {
    let place = one.index;
    let members = company.memberships.iter();
    let members: Vec<&Membership> = members
        .filter(|item| usize::from(item.campaign) == place)
        .collect();
    let opens: u64 = members.iter().map(|item| u64::from(item.opens)).sum();
    let clicks: u64 = members.iter().map(|item| u64::from(item.clicks)).sum();
    let mut report = json!({ "recipients": members.len(), "emails_sent": members.len(), "opens": opens, "clicks": clicks });
    if let Some(report) = report.as_object_mut()
        && !place.is_multiple_of(3)
    {
        let bounced = members.iter().filter(|item| item.status == 4).count();
        let left = members.iter().filter(|item| item.status == 5).count();
        report.insert("bounces".to_owned(), json!(bounced));
        report.insert("unsubscribed".to_owned(), json!(left));
        report.insert(
            "revenue".to_owned(),
            json!({ "amount": "10433.50", "currency": "EUR" }),
        );
    }
    let is_sent = one.status >= 2;
    json!({
        "id": one.id(),
        "title": title(one),
        "type": TYPES.get(usize::from(one.kind)),
        "status": status_of(one),
        "channel": if one.kind == 2 { "sms" } else { "email" },
        "content": {
            "subject": subject(one),
            "preview_text": if place.is_multiple_of(4) { Value::Null } else { json!("Only for you") },
            "from_name": "Tributary Sandbox",
            "reply_to": "hello@tributary-sandbox.io",
            "html": "<p>Hello *|FNAME|*</p>",
        },
        "utm": { "source": "newsletter", "medium": "email", "campaign": format!("c{}", place + 1) },
        "report": if is_sent { report } else { Value::Null },
        "send_time": is_sent.then(|| milliseconds(one.created + DAY)),
        "create_time": milliseconds(one.created),
        "update_time": milliseconds(one.updated),
        "archive_url": format!("https://archive.marketing.invalid/{:x}", one.mood & 0xff_ffff),
    })
}
