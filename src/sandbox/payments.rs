//! The payment provider of the web shop: REST and JSON behind a bearer key. It knows the shop's ids of customers and orders,
//! pages by the last id, and writes amounts in minor units.

use http::Method;
use serde_json::{Value, json};

use crate::sandbox::{
    Credentials, Vendor,
    company::{
        Company,
        orders::Order,
        people::{Person, SHOP_CUSTOMER, SHOP_ORDER},
    },
    message::{Answer, Request},
};

const LIMIT_MAX: usize = 100;
const ID: &str = "ch_";
const HOUR: u32 = 3_600;
/// Means of payment; clients do not know the last one.
const METHODS: [&str; 5] = ["card", "paypal", "sepa_debit", "bank_transfer", "seashells"];

/// One attempt to pay an order. A declined card comes before the charge that went through.
struct Charge<'c> {
    order: &'c Order,
    person: &'c Person,
    is_declined: bool,
}

/// The name of what is asked for.
pub(crate) fn operation(request: &Request) -> &'static str {
    let below = request.path.strip_prefix("/v1/charges");
    match (&request.method, below) {
        (&Method::GET, Some("")) if request.param("order").is_some() => "charges.by_order",
        (&Method::GET, Some("")) => "charges.by_customer",
        (&Method::GET, Some(_)) => "charges.get",
        _ => "unknown",
    }
}

/// Answers a request.
pub(crate) fn answer(request: &Request, company: &Company, known: &Credentials) -> Answer {
    if request.header("authorization") != format!("Bearer {}", known.payments_key) {
        return error(401, "invalid_api_key", "Invalid API key provided.");
    }
    let answered = match operation(request) {
        "charges.by_customer" => by_customer(request, company),
        "charges.by_order" => by_order(request, company),
        "charges.get" => get(request, company),
        _ => return error(404, "unknown_url", "Unrecognized request URL."),
    };
    answered.unwrap_or_else(|message| error(400, "parameter_invalid", &message))
}

/// The payment provider's form of an error.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    let kind = if status >= 500 {
        "api_error"
    } else {
        "invalid_request_error"
    };
    let body = json!({ "error": { "type": kind, "code": code, "message": message } });
    Answer::json(status, &body)
}

fn by_customer(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["customer", "limit", "starting_after"])?;
    let customer = request.param("customer").ok_or("customer is required")?;
    let number = customer.strip_prefix(SHOP_CUSTOMER);
    let person = number
        .and_then(|number| number.parse().ok())
        .and_then(|number| company.by_shop_number(number));
    let orders = person.map_or(&[][..], |one| company.orders_of(one.index, Vendor::Shop));
    list(request, company, orders)
}

fn by_order(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &["order", "limit", "starting_after"])?;
    let order = request.param("order").ok_or("order is required")?;
    let found = order_of(company, order.strip_prefix(SHOP_ORDER));
    list(
        request,
        company,
        found.map_or(&[][..], std::slice::from_ref),
    )
}

fn get(request: &Request, company: &Company) -> Result<Answer, String> {
    refuse_unknown(request, &[])?;
    let id = request.path.rsplit('/').next().unwrap_or_default();
    let order = id
        .strip_prefix(ID)
        .and_then(|rest| rest.split('_').next())
        .and_then(|number| order_of(company, Some(number)));
    let charges = order.map(|order| charges(company, std::slice::from_ref(order)));
    let mut charges = charges.into_iter().flatten();
    let found = charges.find(|charge| charge.id() == id);
    Ok(found.map_or_else(
        || error(404, "resource_missing", "No such charge."),
        |charge| Answer::json(200, &charge.json()),
    ))
}

fn refuse_unknown(request: &Request, known: &[&str]) -> Result<(), String> {
    match request.unknown_param(known) {
        Some(name) => Err(format!("Received unknown parameter: {name}")),
        None => Ok(()),
    }
}

fn order_of<'c>(company: &'c Company, number: Option<&str>) -> Option<&'c Order> {
    let number: usize = number?.parse().ok()?;
    company.shop_orders.get(number.checked_sub(FIRST_ORDER)?)
}

/// The number in the shop's id of its first order.
const FIRST_ORDER: usize = 5_000_000_001;

/// The charges of orders, newest first.
fn charges<'c>(company: &'c Company, orders: &'c [Order]) -> Vec<Charge<'c>> {
    let mut found = Vec::with_capacity(orders.len());
    for order in orders {
        let Some(person) = company.person(order.person) else {
            continue;
        };
        if order.mood % 9 == 1 {
            found.push((
                order.placed,
                Charge {
                    order,
                    person,
                    is_declined: true,
                },
            ));
        }
        found.push((
            order.placed + HOUR,
            Charge {
                order,
                person,
                is_declined: false,
            },
        ));
    }
    found.sort_by_key(|(made, charge)| std::cmp::Reverse((*made, charge.order.index)));
    found.into_iter().map(|(_, charge)| charge).collect()
}

/// A page of what follows the charge of that id.
fn list(request: &Request, company: &Company, orders: &[Order]) -> Result<Answer, String> {
    let limit = request.number("limit", 10, LIMIT_MAX)?;
    let charges = charges(company, orders);
    let start = match request.param("starting_after") {
        None => 0,
        Some(id) => {
            let place = charges.iter().position(|charge| charge.id() == id);
            place.ok_or_else(|| format!("No such charge: '{id}'"))? + 1
        }
    };
    let rest = charges.get(start..).unwrap_or_default();
    let data: Vec<Value> = rest.iter().take(limit).map(Charge::json).collect();
    let body = json!({ "object": "list", "has_more": rest.len() > limit, "data": data });
    Ok(Answer::json(200, &body))
}

impl Charge<'_> {
    fn id(&self) -> String {
        let number = FIRST_ORDER + self.order.index;
        let attempt = if self.is_declined { "declined" } else { "paid" };
        format!("{ID}{number}_{attempt}")
    }

    fn status(&self) -> &'static str {
        match self.order.payment {
            _ if self.is_declined => "failed",
            0 if self.order.mood.is_multiple_of(2) => "authorized",
            0 => "pending",
            2 => "refunded",
            3 => "partially_refunded",
            _ if self.order.mood % 37 == 5 => "disputed",
            _ => "succeeded",
        }
    }

    /// What went back, in minor units.
    fn refunded(&self) -> i64 {
        match self.status() {
            "refunded" => self.order.total(),
            "partially_refunded" => self.order.total() / 3,
            _ => 0,
        }
    }

    fn refunds(&self, created: u32) -> Value {
        if self.refunded() == 0 {
            return json!([]);
        }
        json!([{
            "id": format!("re_{}", FIRST_ORDER + self.order.index),
            "amount": self.refunded(),
            "currency": self.order.currency().code.to_ascii_lowercase(),
            "reason": "requested_by_customer",
            "status": "succeeded",
            "created": created + 24 * HOUR,
        }])
    }

    fn json(&self) -> Value {
        let order = self.order;
        let created = if self.is_declined {
            order.placed
        } else {
            order.placed + HOUR
        };
        let status = self.status();
        let is_captured = !matches!(status, "failed" | "authorized" | "pending");
        let fee = order.total() / 50;
        let place = usize::try_from(order.mood % 5).unwrap_or(0);
        let method = METHODS.get(place).copied().unwrap_or("card");
        let card = (method == "card").then(|| {
            let brand = if order.mood.is_multiple_of(3) {
                "visa"
            } else {
                "mastercard"
            };
            json!({ "brand": brand, "last4": format!("{:04}", order.mood % 10_000) })
        });
        json!({
            "id": self.id(),
            "object": "charge",
            "amount": order.total(),
            "amount_refunded": self.refunded(),
            "currency": order.currency().code.to_ascii_lowercase(),
            "status": status,
            "description": format!("Order #{}", 1001 + order.index),
            "payment_method": { "type": method, "card": card },
            "balance": is_captured.then(|| json!({ "fee": fee, "net": order.total() - fee })),
            "refunds": { "data": self.refunds(created) },
            "failure": self.is_declined.then(|| json!({ "code": "card_declined", "message": "Your card was declined." })),
            "customer": format!("{SHOP_CUSTOMER}{}", self.person.shop_number()),
            "order": format!("{SHOP_ORDER}{}", FIRST_ORDER + order.index),
            "created": created,
            "captured_at": is_captured.then_some(created),
            "updated": order.updated.max(created),
        })
    }
}
