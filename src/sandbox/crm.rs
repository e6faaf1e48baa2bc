//! The CRM: REST and JSON behind a bearer token, batch reads that answer in any order and leave out what is missing.

use http::Method;
use serde_json::{Value, json};

use crate::sandbox::{
    Credentials, Vendor,
    company::{
        Company,
        clock::{DAY, day, parse_rfc3339, rfc3339},
        people::{Employer, Person},
    },
    message::{Answer, Request, cursor, place},
};

/// The largest page and the largest batch.
const ITEMS_MAX: usize = 100;
const STATUSES: [&str; 5] = ["active", "inactive", "prospect", "archived", "vip_review"];
const STAGES: [&str; 6] = [
    "subscriber",
    "lead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
];
const OWNERS: [&str; 4] = ["Marta Reis", "Dieter Wolf", "Hannah Okafor", "Yuki Tanabe"];
const TIERS: [&str; 4] = ["bronze", "silver", "gold", ""];
const LIST_PARAMS: [&str; 6] = ["limit", "after", "status", "updated_since", "email", "sort"];

/// The name of what is asked for.
pub(crate) fn operation(request: &Request) -> &'static str {
    match (&request.method, request.path.as_str()) {
        (&Method::GET, "/v1/contacts") => "contacts.list",
        (&Method::GET, "/v1/contacts/search") => "contacts.search",
        (&Method::GET, "/v1/companies/search") => "companies.search",
        (&Method::POST, "/v1/contacts/batch/read") => "contacts.batch_read",
        (&Method::POST, "/v1/contacts/by-company/batch") => "contacts.by_company",
        (&Method::GET, "/v1/companies") => "companies.list",
        (&Method::POST, "/v1/companies/batch/read") => "companies.batch_read",
        _ => "unknown",
    }
}

/// Answers a request.
pub(crate) fn answer(request: &Request, company: &Company, known: &Credentials) -> Answer {
    if request.header("authorization") != format!("Bearer {}", known.crm_token) {
        return error(
            401,
            "INVALID_AUTHENTICATION",
            "The access token is missing or not valid.",
        )
        .with_header("www-authenticate", "Bearer".to_owned());
    }
    let answered = match operation(request) {
        "contacts.list" => list_contacts(request, company),
        "contacts.search" => search_contacts(request, company),
        "companies.search" => search_companies(request, company),
        "contacts.batch_read" => read_contacts(request, company),
        "contacts.by_company" => contacts_by_company(request, company),
        "companies.list" => list_companies(request, company),
        "companies.batch_read" => read_companies(request, company),
        _ => return error(404, "RESOURCE_NOT_FOUND", "No such path."),
    };
    answered.unwrap_or_else(|message| error(400, "VALIDATION_ERROR", &message))
}

/// The CRM's form of an error.
pub(crate) fn error(status: u16, category: &str, message: &str) -> Answer {
    let body = json!({
        "status": "error", "category": category, "message": message,
        "correlationId": "6f1d0a52-sandbox", "errors": [],
    });
    Answer::json(status, &body)
}

fn refuse_unknown(request: &Request, known: &[&str]) -> Result<(), String> {
    match request.unknown_param(known) {
        Some(name) => Err(format!("Unknown query parameter: {name}")),
        None => Ok(()),
    }
}

/// The words that are searched for, in lower case.
fn words(request: &Request) -> Result<Vec<String>, String> {
    refuse_unknown(request, &["q", "limit"])?;
    let text = request.param("q").ok_or("q is missing")?.to_lowercase();
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn search_contacts(request: &Request, company: &Company) -> Result<Answer, String> {
    let words = words(request)?;
    let is_meant = |person: &&Person| {
        let text = format!("{} {} {}", person.given, person.family, person.email).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let people: Vec<&Person> = company.people_in(Vendor::Crm).filter(is_meant).collect();
    page(request, &people, |person| contact(person, company))
}

fn search_companies(request: &Request, company: &Company) -> Result<Answer, String> {
    let words = words(request)?;
    let is_meant = |one: &&Employer| {
        let text = format!("{} {}", one.name, one.domain).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let found: Vec<&Employer> = company.employers.iter().filter(is_meant).collect();
    page(request, &found, employer)
}

fn list_contacts(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &LIST_PARAMS)?;
    let since = match request.param("updated_since") {
        Some(text) => parse_rfc3339(text).ok_or("updated_since is not an RFC 3339 time")?,
        None => i64::MIN,
    };
    let status = request.param("status");
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        return Err(format!("Unknown status: {status}"));
    }
    let email = request.param("email").map(str::to_lowercase);
    let mut people: Vec<&Person> = company
        .people_in(Vendor::Crm)
        .filter(|person| status.is_none_or(|status| status_of(person) == status))
        .filter(|person| i64::from(person.updated(Vendor::Crm)) >= since)
        .filter(|person| email.as_ref().is_none_or(|email| has_email(person, email)))
        .collect();
    match request.param("sort").unwrap_or("id") {
        "id" => {}
        "-id" => people.reverse(),
        "updated_at" => people.sort_by_key(|person| person.updated(Vendor::Crm)),
        "-updated_at" => {
            people.sort_by_key(|person| std::cmp::Reverse(person.updated(Vendor::Crm)));
        }
        "name" => people.sort_by(|a, b| (&a.family, &a.given).cmp(&(&b.family, &b.given))),
        "-name" => people.sort_by(|a, b| (&b.family, &b.given).cmp(&(&a.family, &a.given))),
        other => return Err(format!("Cannot sort by {other}")),
    }
    page(request, &people, |person| contact(person, company))
}

fn list_companies(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["limit", "after"])?;
    let employers: Vec<&Employer> = company.employers.iter().collect();
    page(request, &employers, employer)
}

fn page<T>(
    request: &Request,
    items: &[&T],
    render: impl Fn(&T) -> Value,
) -> Result<Answer, String> {
    let limit = request.number("limit", 20, ITEMS_MAX)?;
    if limit == 0 {
        return Err("limit must be at least 1".to_owned());
    }
    let start = match request.param("after") {
        Some(text) => place(text).ok_or("after is not a cursor of this list")?,
        None => 0,
    };
    let rest = items.get(start..).unwrap_or_default();
    let results: Vec<Value> = rest.iter().take(limit).map(|item| render(item)).collect();
    let mut body = json!({ "results": results, "total": items.len() });
    if rest.len() > limit
        && let Some(body) = body.as_object_mut()
    {
        let next = json!({ "next": { "after": cursor(start + limit) } });
        body.insert("paging".to_owned(), next);
    }
    Ok(Answer::json(200, &body))
}

/// Reads the ids of a batch, which may be texts or numbers.
fn ids(list: Option<&Value>, member: Option<&str>) -> Result<Vec<String>, String> {
    let list = list
        .and_then(Value::as_array)
        .ok_or("the list of ids is missing")?;
    if list.len() > ITEMS_MAX {
        return Err(format!("A batch has {ITEMS_MAX} inputs at most."));
    }
    let mut ids = Vec::with_capacity(list.len());
    for item in list {
        let id = match member {
            Some(member) => item.get(member),
            None => Some(item),
        };
        match id {
            Some(Value::String(text)) => ids.push(text.clone()),
            Some(Value::Number(number)) => ids.push(number.to_string()),
            _ => return Err("an input has no id".to_owned()),
        }
    }
    Ok(ids)
}

fn read_contacts(request: &Request, company: &Company) -> Result<Answer, String> {
    let body = request.json().ok_or("The body is not application/json.")?;
    let ids = ids(body.get("inputs"), Some("id"))?;
    let property = body
        .get("idProperty")
        .and_then(Value::as_str)
        .unwrap_or("id");
    if !["id", "email", "erp_customer_number"].contains(&property) {
        return Err(format!("{property} does not identify contacts"));
    }
    let mut found: Vec<&Person> = Vec::new();
    let mut errors = Vec::new();
    for id in &ids {
        match property {
            "id" if id.parse::<u64>().is_err() => {
                errors.push(json!({ "id": id, "category": "VALIDATION_ERROR", "message": "The id is not a number." }));
            }
            "id" => found.extend(company.by_crm_id(id)),
            "email" => {
                let email = id.to_lowercase();
                let hits = company.people_in(Vendor::Crm);
                found.extend(hits.filter(|person| has_email(person, &email)));
            }
            _ => found.extend(
                company
                    .by_erp_id(id)
                    .filter(|person| person.is_in(Vendor::Crm) && person.erp_id_in_crm().is_some()),
            ),
        }
    }
    found.sort_by_key(|person| person.mood);
    found.dedup_by_key(|person| person.index);
    let results: Vec<Value> = found
        .iter()
        .map(|person| contact(person, company))
        .collect();
    Ok(batch(results, errors))
}

fn batch(results: Vec<Value>, errors: Vec<Value>) -> Answer {
    if errors.is_empty() {
        return Answer::json(200, &json!({ "status": "COMPLETE", "results": results }));
    }
    let body = json!({
        "status": "COMPLETE", "results": results, "numErrors": errors.len(), "errors": errors,
    });
    Answer::json(207, &body)
}

fn contacts_by_company(request: &Request, company: &Company) -> Result<Answer, String> {
    let body = request.json().ok_or("The body is not application/json.")?;
    let ids = ids(body.get("companyIds"), None)?;
    let mut results = Vec::new();
    for person in company.people_in(Vendor::Crm) {
        let employer = company.employers.get(person.employer);
        if employer.is_some_and(|employer| ids.contains(&employer.id.to_string())) {
            results.push(contact(person, company));
        }
    }
    Ok(batch(results, Vec::new()))
}

fn read_companies(request: &Request, company: &Company) -> Result<Answer, String> {
    let body = request.json().ok_or("The body is not application/json.")?;
    let ids = ids(body.get("inputs"), Some("id"))?;
    let found = company.employers.iter().rev();
    let found = found.filter(|one| ids.contains(&one.id.to_string()));
    Ok(batch(found.map(employer).collect(), Vec::new()))
}

fn status_of(person: &Person) -> &'static str {
    let place = match person.vary(31, 100) {
        _ if person.index == 0 => 0,
        0..2 => 4,
        2..10 => 3,
        10..20 => 2,
        20..30 => 1,
        _ => 0,
    };
    STATUSES.get(place).copied().unwrap_or("active")
}

fn has_email(person: &Person, email: &str) -> bool {
    if email.is_empty() {
        return false;
    }
    let private = person
        .private_email
        .as_ref()
        .filter(|_| person.is_private_known);
    person.email.to_lowercase() == email || private.is_some_and(|one| one.to_lowercase() == email)
}

fn emails(person: &Person) -> Value {
    let mut emails = Vec::new();
    if !person.email.is_empty() {
        let verified = person.index == 0 || person.vary(33, 3) > 0;
        emails.push(json!({ "address": person.email, "type": "work", "verified": verified }));
    }
    if let Some(private) = person
        .private_email
        .as_ref()
        .filter(|_| person.is_private_known)
    {
        emails.push(json!({ "address": private, "type": "home", "verified": null }));
    }
    Value::Array(emails)
}

fn address(person: &Person) -> Value {
    let culture = person.culture();
    let pick =
        |purpose, bound: usize| usize::try_from(person.vary(purpose, bound as u64)).unwrap_or(0);
    let street = culture.streets.get(pick(34, culture.streets.len()));
    let city = culture.cities.get(pick(35, culture.cities.len()));
    let country = match person.vary(36, 4) {
        _ if person.index == 0 => culture.country_code,
        0 => culture.country_name,
        1 => "",
        _ => culture.country_code,
    };
    let number = 1 + person.vary(37, 180);
    json!({
        "type": "billing",
        "street": format!("{} {number}", street.copied().unwrap_or_default()),
        "city": city.map(|city| city.0),
        "postal_code": city.map(|city| city.1),
        "country": country,
    })
}

fn contact(person: &Person, company: &Company) -> Value {
    let owner = usize::try_from(person.vary(38, 5)).unwrap_or(0);
    let owner = OWNERS.get(owner).map(|name| {
        let email = format!(
            "{}@tributary-sandbox.io",
            name.to_lowercase().replace(' ', ".")
        );
        json!({ "id": 700 + owner, "name": name, "email": email })
    });
    let stage = usize::try_from(person.vary(39, 6)).unwrap_or(0);
    let tier = match person.index {
        0 => 2,
        _ => usize::try_from(person.vary(40, 4)).unwrap_or(0),
    };
    let born = person.born.map(|days| {
        let date = chrono::DateTime::from_timestamp(i64::from(days) * i64::from(DAY), 0);
        date.unwrap_or_default().format("%Y-%m-%d").to_string()
    });
    let mut record = json!({
        "id": person.crm_id(),
        "first_name": person.given,
        "last_name": person.family,
        "emails": emails(person),
        "phones": [{ "number": person.phone_in(Vendor::Crm), "type": "work" }],
        "addresses": if person.vary(41, 12) == 0 && person.index != 0 { json!(null) } else { json!([address(person)]) },
        "status": status_of(person),
        "lifecycle_stage": STAGES.get(stage),
        "company_id": company.employers.get(person.employer).map(|one| one.id),
        "erp_customer_number": person.erp_id_in_crm(),
        "owner": owner,
        "tags": if person.vary(42, 2) == 0 { json!(["newsletter", "b2b"]) } else { json!([]) },
        "note": if person.vary(43, 9) == 0 { json!("prefers e-mail 🙏") } else { json!("") },
        "properties": {
            "loyalty_tier": TIERS.get(tier),
            "newsletter_opt_in": if person.vary(44, 2) == 0 { "true" } else { "false" },
            "credit_score": format!("{}.{:02}", 300 + person.vary(45, 500), person.vary(46, 100)),
        },
        "language": person.culture().language,
        "birth_date": born,
        "created_at": rfc3339(person.created(Vendor::Crm)),
        "updated_at": rfc3339(person.updated(Vendor::Crm)),
    });
    // Some records are older than the field, so that it is absent and not null.
    if person.index != 0
        && person.vary(47, 10) == 0
        && let Some(record) = record.as_object_mut()
    {
        record.shift_remove("language");
        record.shift_remove("birth_date");
    }
    record
}

fn employer(employer: &Employer) -> Value {
    let founded = u32::try_from(employer.id % 9_000).unwrap_or(0);
    json!({
        "id": employer.id,
        "name": employer.name,
        "domain": employer.domain,
        "country": employer.country,
        "employees": employer.id % 977,
        "created_at": rfc3339(1_400_000_000 + founded * DAY / 8),
        "founded_on": day(founded * DAY),
    })
}
