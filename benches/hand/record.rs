//! What the vendors send, as far as the two queries need it.

use serde::Deserialize;
use tributary::record::email;

use crate::Outcome;

/// The vendors, best first: the order in which their values win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// REST.
    Crm,
    /// SOAP.
    Erp,
    /// GraphQL.
    Shop,
    /// REST.
    Helpdesk,
    /// REST.
    Marketing,
}

/// A record of a customer, with what links it to others.
#[derive(Debug, Clone)]
pub struct Person {
    /// Whose record it is.
    pub source: Source,
    /// Its id there.
    pub id: String,
    /// Its addresses as they are written, with what is said of them.
    pub emails: Vec<Email>,
    /// The id of the same person at another vendor.
    pub external: Option<(Source, String)>,
    /// The given name.
    pub given: Option<String>,
    /// The family name.
    pub family: Option<String>,
    /// How far the customer has come, in the graph's words.
    pub stage: Option<&'static str>,
    /// Whether the vendor calls it deleted.
    pub deleted: bool,
}

/// An address.
#[derive(Debug, Clone)]
pub struct Email {
    /// As it is written.
    pub address: String,
    /// By which it is compared; nothing when it is none.
    pub key: Option<String>,
    /// Whether the vendor verified it.
    pub verified: Option<bool>,
}

impl Email {
    fn new(address: String, verified: Option<bool>) -> Self {
        let key = email::match_key(&address);
        Self {
            address,
            key,
            verified,
        }
    }
}

impl Person {
    /// The addresses by which it may be linked.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.emails.iter().filter_map(|email| email.key.as_deref());
        keys.filter(|key| !email::is_shared(key))
    }
}

/// A contact of the CRM.
#[derive(Debug, Deserialize)]
pub struct Contact {
    id: serde_json::Number,
    first_name: Option<String>,
    last_name: Option<String>,
    emails: Vec<ContactEmail>,
    lifecycle_stage: Option<String>,
    erp_customer_number: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ContactEmail {
    address: String,
    verified: Option<bool>,
}

/// A page or batch of contacts.
#[derive(Debug, Deserialize)]
pub struct Contacts {
    /// The contacts.
    pub results: Vec<Contact>,
    /// Where the next page begins.
    pub paging: Option<Paging>,
}

/// Where to go on.
#[derive(Debug, Deserialize)]
pub struct Paging {
    /// The next page.
    pub next: Next,
}

/// The next page.
#[derive(Debug, Deserialize)]
pub struct Next {
    /// Its cursor.
    pub after: String,
}

impl From<Contact> for Person {
    fn from(contact: Contact) -> Self {
        let stage = match contact.lifecycle_stage.as_deref() {
            None | Some("") => "UNKNOWN",
            Some("subscriber") => "SUBSCRIBER",
            Some("lead") => "LEAD",
            Some("opportunity") => "OPPORTUNITY",
            Some("customer") => "CUSTOMER",
            Some("evangelist") => "EVANGELIST",
            Some(_) => "OTHER",
        };
        let emails = contact.emails.into_iter();
        Self {
            source: Source::Crm,
            id: contact.id.to_string(),
            emails: emails
                .map(|email| Email::new(email.address, email.verified))
                .collect(),
            external: contact.erp_customer_number.map(|id| (Source::Erp, id)),
            given: filled(contact.first_name),
            family: filled(contact.last_name),
            stage: Some(stage),
            deleted: false,
        }
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// The leaves of a debtor of the ERP.
pub const DEBTOR: [&str; 3] = ["CustomerId", "Name1", "Email"];

/// Reads a debtor.
pub fn debtor([id, name, address]: [Option<String>; 3]) -> Outcome<Person> {
    let name = name.unwrap_or_default();
    let (family, given) = match name.split_once(',') {
        Some((family, given)) => (title(family), filled(Some(title(given)))),
        None => (name.clone(), None),
    };
    Ok(Person {
        source: Source::Erp,
        id: id.ok_or("a debtor has no id")?,
        emails: address
            .into_iter()
            .map(|address| Email::new(address, None))
            .collect(),
        external: None,
        given,
        family: filled(Some(family)),
        stage: None,
        deleted: false,
    })
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for letter in text.trim().chars() {
        if begins {
            out.extend(letter.to_uppercase());
        } else {
            out.extend(letter.to_lowercase());
        }
        begins = !letter.is_alphanumeric();
    }
    out
}

/// A user of the helpdesk.
#[derive(Debug, Deserialize)]
pub struct User {
    id: u64,
    name: String,
    identities: Vec<Identity>,
    external_id: Option<String>,
    active: bool,
}

#[derive(Debug, Deserialize)]
struct Identity {
    r#type: String,
    value: String,
    verified: Option<bool>,
}

/// Users.
#[derive(Debug, Deserialize)]
pub struct Users {
    /// The users.
    pub users: Vec<User>,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        let (given, family) = user.name.split_once(' ').unwrap_or((&user.name, ""));
        let addresses = user.identities.into_iter();
        Self {
            source: Source::Helpdesk,
            id: user.id.to_string(),
            emails: addresses
                .filter(|identity| identity.r#type == "email")
                .map(|identity| Email::new(identity.value, identity.verified))
                .collect(),
            external: user.external_id.map(|id| (Source::Crm, id)),
            given: filled(Some(title(given))),
            family: filled(Some(title(family))),
            stage: None,
            deleted: !user.active,
        }
    }
}

/// A customer of the shop.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Buyer {
    id: String,
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
}

impl From<Buyer> for Person {
    fn from(buyer: Buyer) -> Self {
        let address = buyer.email.into_iter();
        Self {
            source: Source::Shop,
            id: buyer.id,
            emails: address.map(|address| Email::new(address, None)).collect(),
            external: None,
            given: filled(buyer.first_name),
            family: filled(buyer.last_name),
            stage: None,
            deleted: false,
        }
    }
}

/// A contact of the marketing tool.
#[derive(Debug, Deserialize)]
pub struct Recipient {
    id: String,
    email_address: String,
    status: String,
    merge_fields: MergeFields,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct MergeFields {
    fname: Option<String>,
    lname: Option<String>,
}

/// Contacts of the marketing tool.
#[derive(Debug, Deserialize)]
pub struct Recipients {
    /// The contacts.
    pub contacts: Vec<Recipient>,
}

impl From<Recipient> for Person {
    fn from(recipient: Recipient) -> Self {
        let is_subscribed = recipient.status == "subscribed";
        Self {
            source: Source::Marketing,
            id: recipient.id,
            emails: vec![Email::new(recipient.email_address, None)],
            external: None,
            given: filled(recipient.merge_fields.fname),
            family: filled(recipient.merge_fields.lname),
            stage: Some(if is_subscribed {
                "SUBSCRIBER"
            } else {
                "UNKNOWN"
            }),
            deleted: false,
        }
    }
}
