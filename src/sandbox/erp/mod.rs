//! The ERP: SOAP, document/literal, HTTP Basic, errors as faults.

mod envelope;
mod write;

use http::Method;

use crate::sandbox::{
    Credentials, Vendor,
    company::{
        Company,
        clock::parse_berlin,
        orders::{ERP_STATES, Order},
        people::Person,
    },
    erp::envelope::{Element, Version},
    message::{Answer, Request},
};

const NAMESPACE: &str = "urn:acme:erp:v2";
const IDS_MAX: usize = 50;
const PAGE_SIZE_MAX: usize = 100;
const OPERATIONS: [&str; 5] = [
    "GetCustomers",
    "FindCustomers",
    "ListOrders",
    "GetOrders",
    "SearchOrders",
];

/// A refusal: the fault's class, the vendor's code and a message.
type Refusal = (&'static str, &'static str, String);

/// The order's number in the ERP, with leading zeros.
pub(crate) fn order_id(order: &Order) -> String {
    format!("00{:08}", 45_000_001 + order.index)
}

/// The name of what is asked for, from the body's payload.
pub(crate) fn operation(request: &Request) -> String {
    let payload = envelope::payload(&request.body);
    let name = payload.map(|(_, payload)| payload.name).unwrap_or_default();
    let known = OPERATIONS.contains(&name.as_str());
    if known { name } else { "unknown".to_owned() }
}

/// A fault in SOAP 1.1 with status 500.
pub(crate) fn fault(class: &str, code: &str, message: &str) -> Answer {
    fault_in(Version::V11, class, code, message)
}

fn fault_in(version: Version, class: &str, code: &str, message: &str) -> Answer {
    let body = envelope::fault(version, class, code, message);
    Answer::new(500, version.content_type(), body)
}

/// Answers a request.
pub(crate) fn answer(request: &Request, company: &Company, known: &Credentials) -> Answer {
    let proof = Some((known.erp_user.clone(), known.erp_password.clone()));
    let version = match request.content_type().as_str() {
        "application/soap+xml" => Version::V12,
        _ => Version::V11,
    };
    if request.basic() != proof {
        let mut refused = fault_in(version, "Client.Authentication", "ERP-0401", "Logon failed");
        refused.status = 401;
        return refused.with_header("www-authenticate", "Basic realm=\"ERP\"".to_owned());
    }
    if request.path != "/soap" {
        return Answer::new(404, "text/plain", "Not Found".to_owned());
    }
    if request.method != Method::POST {
        return Answer::new(405, "text/plain", "Method Not Allowed".to_owned());
    }
    if !["text/xml", "application/soap+xml"].contains(&request.content_type().as_str()) {
        return Answer::new(415, "text/plain", "Unsupported Media Type".to_owned());
    }
    match run(request, company, version) {
        Ok(payload) => Answer::new(
            200,
            version.content_type(),
            envelope::wrap(version, &payload),
        ),
        Err((class, code, message)) => fault_in(version, class, code, &message),
    }
}

fn run(request: &Request, company: &Company, version: Version) -> Result<String, Refusal> {
    let Some((spoken, payload)) = envelope::payload(&request.body) else {
        let message = "The request is not a SOAP envelope with a body.".to_owned();
        return Err(("Client.Parse", "ERP-1001", message));
    };
    if spoken != version {
        let message = "The envelope does not fit the content type.".to_owned();
        return Err(("VersionMismatch", "ERP-1002", message));
    }
    let name = payload.name.as_str();
    if payload.namespace != NAMESPACE || !OPERATIONS.contains(&name) {
        let message = format!("There is no operation {name}.");
        return Err(("Client.UnknownOperation", "ERP-1003", message));
    }
    if action(request, version) != format!("{NAMESPACE}/{name}") {
        let message = "SOAPAction does not name the operation of the body.".to_owned();
        return Err(("Client.ActionMismatch", "ERP-1004", message));
    }
    if let Some(stray) = payload
        .children
        .iter()
        .find(|one| one.namespace != NAMESPACE)
    {
        let message = format!("The element {} is not expected here.", stray.name);
        return Err(("Client.Schema", "ERP-1005", message));
    }
    match name {
        "GetCustomers" => get_customers(&payload, company),
        "FindCustomers" => find_customers(&payload, company),
        "ListOrders" => list_orders(&payload, company),
        "GetOrders" => get_orders(&payload, company),
        _ => search_orders(&payload, company),
    }
}

fn action(request: &Request, version: Version) -> String {
    let text = match version {
        Version::V11 => request.header("soapaction"),
        Version::V12 => {
            let mut parameters = request.header("content-type").split(';');
            let found = parameters.find_map(|one| one.trim().strip_prefix("action="));
            found.unwrap_or_default()
        }
    };
    text.trim_matches('"').to_owned()
}

fn keys<'a>(payload: &'a Element, name: &'a str) -> Result<Vec<&'a str>, Refusal> {
    if let Some(stray) = payload.children.iter().find(|one| one.name != name) {
        let message = format!("The element {} is not expected here.", stray.name);
        return Err(("Client.Schema", "ERP-1005", message));
    }
    let keys: Vec<&str> = payload.texts(name).collect();
    if keys.is_empty() || keys.len() > IDS_MAX {
        let message = format!("{name} must occur from 1 to {IDS_MAX} times.");
        return Err(("Client.Limit", "ERP-2001", message));
    }
    Ok(keys)
}

fn get_customers(payload: &Element, company: &Company) -> Result<String, Refusal> {
    let ids = keys(payload, "CustomerId")?;
    let people = ids.iter().filter_map(|id| company.by_erp_id(id));
    Ok(write::customers("GetCustomersResponse", people))
}

fn find_customers(payload: &Element, company: &Company) -> Result<String, Refusal> {
    let wanted = keys(payload, "Email")?;
    let wanted: Vec<String> = wanted.iter().map(|one| one.to_uppercase()).collect();
    let people = company.people_in(Vendor::Erp);
    let people = people.filter(|one| {
        let email = one.email_in(Vendor::Erp);
        !email.is_empty() && wanted.contains(&email)
    });
    Ok(write::customers("FindCustomersResponse", people))
}

fn list_orders(payload: &Element, company: &Company) -> Result<String, Refusal> {
    let ids = keys(payload, "CustomerId")?;
    let mut orders: Vec<&Order> = Vec::new();
    for person in ids.iter().filter_map(|id| company.by_erp_id(id)) {
        orders.extend(company.orders_of(person.index, Vendor::Erp));
    }
    orders.sort_by_key(|order| (order.updated, order.index));
    orders.dedup_by_key(|order| order.index);
    Ok(write::orders(
        ("ListOrdersResponse", None),
        &orders,
        company,
    ))
}

fn get_orders(payload: &Element, company: &Company) -> Result<String, Refusal> {
    let ids = keys(payload, "OrderId")?;
    let mut orders = Vec::new();
    for id in ids {
        let place = id.parse::<usize>().ok();
        let place = place.and_then(|number| number.checked_sub(45_000_001));
        let order = place.and_then(|place| company.erp_orders.get(place));
        orders.extend(order.filter(|order| order_id(order) == id));
    }
    Ok(write::orders(("GetOrdersResponse", None), &orders, company))
}

fn number(payload: &Element, name: &str, default: usize) -> Result<usize, Refusal> {
    let Some(text) = payload.text(name) else {
        return Ok(default);
    };
    let failed = |_| {
        (
            "Client.Schema",
            "ERP-1006",
            format!("{name} is not a number."),
        )
    };
    text.parse().map_err(failed)
}

fn search_orders(payload: &Element, company: &Company) -> Result<String, Refusal> {
    let known = ["Page", "PageSize", "Status", "UpdatedSince"];
    if let Some(stray) = payload
        .children
        .iter()
        .find(|one| !known.contains(&one.name.as_str()))
    {
        let message = format!("The element {} is not expected here.", stray.name);
        return Err(("Client.Schema", "ERP-1005", message));
    }
    let page = number(payload, "Page", 1)?.max(1);
    let size = number(payload, "PageSize", 50)?;
    if size == 0 || size > PAGE_SIZE_MAX {
        let message = format!("PageSize must be from 1 to {PAGE_SIZE_MAX}.");
        return Err(("Client.Limit", "ERP-2002", message));
    }
    let status = payload.text("Status");
    let since = match payload.text("UpdatedSince") {
        Some(text) => parse_berlin(text).ok_or((
            "Client.Schema",
            "ERP-1006",
            "UpdatedSince is not a dateTime.".to_owned(),
        ))?,
        None => i64::MIN,
    };
    let found = company.erp_orders.iter();
    let found = found.filter(|order| i64::from(order.updated) >= since);
    let found = found.filter(|order| status.is_none_or(|status| state_of(order) == status));
    let mut found: Vec<&Order> = found.collect();
    found.sort_by_key(|order| (order.updated, order.index));
    let total = found.len();
    let rest = found
        .get((page - 1).saturating_mul(size)..)
        .unwrap_or_default();
    let rows = rest.get(..size).unwrap_or(rest);
    Ok(write::orders(
        ("SearchOrdersResponse", Some(total)),
        rows,
        company,
    ))
}

fn state_of(order: &Order) -> &'static str {
    let place = usize::from(order.state);
    ERP_STATES.get(place).copied().unwrap_or_default()
}

fn customer_id(person: Option<&Person>) -> String {
    person.map(Person::erp_id).unwrap_or_default()
}
