//! The message system: REST and JSON behind a token header. It sends and receives e-mail and text messages, knows the CRM's
//! ids of contacts, and answers one batch of them with a flat list.

use http::Method;
use serde_json::{Value, json};

use crate::sandbox::{
    Credentials, Vendor,
    company::{
        Company,
        clock::{DAY, PRESENT, blank_separated},
        people::{ANA_CRM_ID, Person},
    },
    message::{Answer, Request, cursor, place},
};

const LIMIT_MAX: usize = 100;
const CONTACTS_MAX: usize = 100;
/// How many messages one person has at the most.
const MESSAGES_MAX: u64 = 8;
/// Delivery states; clients do not know the last one.
const STATES: [&str; 6] = ["queued", "sent", "delivered", "read", "bounced", "limbo"];
const SUBJECTS: [&str; 5] = [
    "Your order is on its way",
    "We have a question about your address",
    "Re: délai de livraison",
    "Rechnung im Anhang",
    "How did we do?",
];

/// One message of a person, made when it is asked for.
struct Message<'c> {
    person: &'c Person,
    number: u64,
    mood: u64,
}

/// The name of what is asked for.
pub(crate) fn operation(request: &Request) -> &'static str {
    match (&request.method, request.path.as_str()) {
        (&Method::POST, "/v2/messages/search") => "messages.search",
        (&Method::GET, path) if path.starts_with("/v2/messages/") => "messages.get",
        _ => "unknown",
    }
}

/// Answers a request.
pub(crate) fn answer(request: &Request, company: &Company, known: &Credentials) -> Answer {
    if request.header("x-mail-token") != known.mail_token {
        return error(401, "unauthorized", "The token is not valid.");
    }
    match operation(request) {
        "messages.search" => search(request, company)
            .unwrap_or_else(|message| error(422, "invalid_parameters", &message)),
        "messages.get" => get(request, company),
        _ => error(404, "not_found", "There is nothing here."),
    }
}

/// The message system's form of an error.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "ok": false, "error": code, "detail": message }),
    )
}

fn search(request: &Request, company: &Company) -> Result<Answer, String> {
    let body = request.json().ok_or("The body is not JSON.")?;
    let known = ["contacts", "limit", "page_token"];
    let fields = body.as_object().ok_or("The body is not an object.")?;
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("{name} is not known."));
    }
    let contacts = body.get("contacts").and_then(Value::as_array);
    let contacts = contacts.ok_or("contacts is required.")?;
    if contacts.len() > CONTACTS_MAX {
        return Err(format!("contacts has more than {CONTACTS_MAX} entries."));
    }
    let limit = body.get("limit").and_then(Value::as_u64).unwrap_or(20);
    let limit = usize::try_from(limit).unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
    let start = match body.get("page_token") {
        None | Some(Value::Null) => 0,
        Some(token) => token
            .as_str()
            .and_then(place)
            .ok_or("page_token is not valid.")?,
    };
    let people = contacts.iter().filter_map(Value::as_str);
    let people = people.filter_map(|id| company.by_crm_id(id));
    let mut messages: Vec<Message<'_>> = people.flat_map(messages_of).collect();
    messages.sort_by_key(|one| std::cmp::Reverse((one.created(), one.id())));
    let rest = messages.get(start..).unwrap_or_default();
    let data: Vec<Value> = rest.iter().take(limit).map(Message::json).collect();
    let next = (rest.len() > limit).then(|| cursor(start + limit));
    let body = json!({ "ok": true, "messages": data, "next_page_token": next });
    Ok(Answer::json(200, &body))
}

fn get(request: &Request, company: &Company) -> Answer {
    let id = request.path.rsplit('/').next().unwrap_or_default();
    let person = id
        .strip_prefix("msg-")
        .and_then(|rest| rest.split('-').next())
        .and_then(|index| index.parse().ok())
        .and_then(|index: usize| company.person(index));
    let mut messages = person.into_iter().flat_map(messages_of);
    match messages.find(|message| message.id() == id) {
        Some(message) => Answer::json(200, &message.json()),
        None => error(404, "not_found", "There is no such message."),
    }
}

/// What was written to and by a person; the system knows people of the CRM only.
fn messages_of(person: &Person) -> Vec<Message<'_>> {
    if !person.is_in(Vendor::Crm) {
        return Vec::new();
    }
    let count = match person.index {
        0 => 3,
        _ => person.vary(60, MESSAGES_MAX),
    };
    let message = |number| Message {
        person,
        number,
        mood: person.vary(61 + number, 1 << 40),
    };
    (0..count).map(message).collect()
}

impl Message<'_> {
    fn id(&self) -> String {
        format!("msg-{}-{}", self.person.index, self.number)
    }

    fn created(&self) -> u32 {
        let age = u32::try_from(self.mood % (700 * u64::from(DAY))).unwrap_or(0);
        PRESENT - DAY - age
    }

    fn json(&self) -> Value {
        let created = self.created();
        let is_inbound = self.mood % 3 == 1;
        let is_text = self.mood % 5 == 2;
        let theirs = if is_text {
            self.person.phone_in(Vendor::Crm)
        } else {
            self.person.email_in(Vendor::Crm)
        };
        let ours = if is_text {
            "+351210000000"
        } else {
            "service@tributary-sandbox.io"
        };
        let them = json!({ "name": format!("{} {}", self.person.given, self.person.family), "address": theirs });
        let us = json!({ "name": "Tributary Sandbox", "address": ours });
        let (from, to) = if is_inbound { (them, us) } else { (us, them) };
        let state = usize::try_from(self.mood % 6).unwrap_or(0);
        let state = if is_inbound {
            "received"
        } else {
            STATES.get(state).copied().unwrap_or("sent")
        };
        let subject = usize::try_from(self.mood % 5).unwrap_or(0);
        let after = |minutes: u32| blank_separated(created + 60 * minutes);
        json!({
            "id": self.id(),
            "thread": format!("thr-{}-{}", self.person.index, self.number / 2),
            "contact": (ANA_CRM_ID + 1_002 * self.person.index as u64).to_string(),
            "channel": if is_text { "sms" } else { "email" },
            "direction": if is_inbound { "in" } else { "out" },
            "state": state,
            "from": from,
            "to": [to],
            "subject": if is_text { None } else { SUBJECTS.get(subject) },
            "text": "Dear customer, thank you for writing to us.",
            "failure": (state == "bounced").then(|| json!({ "code": "5.1.1", "text": "mailbox unknown" })),
            "created": after(0),
            "sent": (state != "queued").then(|| after(1)),
            "delivered": matches!(state, "delivered" | "read").then(|| after(2)),
            "read": (state == "read").then(|| after(90)),
        })
    }
}
