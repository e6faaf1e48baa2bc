//! The shop's GraphQL types.

use std::collections::HashSet;

use async_graphql::{Context, Error, ErrorExtensions, ID, Interface, Object, Result, SimpleObject};

use crate::sandbox::{
    Vendor,
    company::{
        Company,
        clock::{DAY, rfc3339},
        money,
        orders::{self, SHOP_STATES},
        people::Person,
    },
    message::{cursor, place},
    shop::{Data, read},
};

const FIRST_MAX: i32 = 250;

/// An exact amount.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Money {
    /// Decimal text.
    amount: String,
    /// ISO 4217.
    currency_code: &'static str,
}

fn amount(currency: money::Currency, minor: i64) -> Money {
    Money {
        amount: currency.text(minor),
        currency_code: currency.code,
    }
}

/// Where something is sent.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct MailingAddress {
    name: String,
    address1: String,
    address2: Option<String>,
    city: Option<&'static str>,
    zip: Option<&'static str>,
    country: &'static str,
    country_code: Option<&'static str>,
}

/// What was bought.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct LineItem {
    id: ID,
    title: &'static str,
    sku: Option<&'static str>,
    quantity: i32,
    original_unit_price: Money,
    original_total: Money,
}

/// What was sent.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Fulfillment {
    id: ID,
    status: &'static str,
    tracking_company: Option<&'static str>,
    tracking_number: Option<String>,
    tracking_url: Option<String>,
    created_at: String,
}

/// A buyer.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Customer {
    id: ID,
    first_name: Option<String>,
    last_name: String,
    display_name: String,
    email: Option<String>,
    phone: Option<String>,
    state: &'static str,
    locale: &'static str,
    number_of_orders: String,
    tags: Vec<&'static str>,
    note: Option<&'static str>,
    default_address: Option<MailingAddress>,
    created_at: String,
    updated_at: String,
}

/// An order.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Order {
    id: ID,
    name: String,
    email: Option<String>,
    status: &'static str,
    display_financial_status: Option<&'static str>,
    display_fulfillment_status: &'static str,
    currency_code: &'static str,
    subtotal_price: Money,
    total_tax: Money,
    total_shipping_price: Money,
    total_price: Money,
    line_items: Vec<LineItem>,
    shipping_address: Option<MailingAddress>,
    fulfillments: Vec<Fulfillment>,
    cancel_reason: Option<&'static str>,
    cancelled_at: Option<String>,
    created_at: String,
    updated_at: String,
    customer: Option<Customer>,
}

/// Anything that has a global id.
#[derive(Debug, Clone, Interface)]
#[graphql(field(name = "id", ty = "&ID"))]
pub(crate) enum Node {
    /// A buyer.
    Customer(Box<Customer>),
    /// An order.
    Order(Box<Order>),
}

/// Where a page ends.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// A customer in a list.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CustomerEdge {
    cursor: String,
    node: Customer,
}

/// A page of customers.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CustomerConnection {
    edges: Vec<CustomerEdge>,
    nodes: Vec<Customer>,
    page_info: PageInfo,
}

/// An order in a list.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct OrderEdge {
    cursor: String,
    node: Order,
}

/// A page of orders.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct OrderConnection {
    edges: Vec<OrderEdge>,
    nodes: Vec<Order>,
    page_info: PageInfo,
}

/// How orders are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
pub(crate) enum OrderSortKeys {
    /// By id.
    Id,
    /// By the moment they were placed.
    CreatedAt,
    /// By the last change.
    UpdatedAt,
}

/// The root.
#[derive(Debug)]
pub(crate) struct Query;

#[Object]
impl Query {
    /// Customers, or those that a search finds: `email:"a@b.co" OR email:"c@d.co"`.
    async fn customers(
        &self,
        ctx: &Context<'_>,
        first: i32,
        after: Option<String>,
        query: Option<String>,
    ) -> Result<CustomerConnection> {
        let wanted = query.as_deref().map(addresses).transpose()?;
        let (size, start) = bounds(first, after.as_deref())?;
        let (nodes, page_info) = read(ctx.data_unchecked::<Data>(), |company| {
            let people = company.people_in(Vendor::Shop);
            let people = people.filter(|person| {
                let email = person.email_in(Vendor::Shop).to_lowercase();
                wanted.as_ref().is_none_or(|wanted| wanted.contains(&email))
            });
            let people: Vec<&Person> = people.collect();
            page(&people, (size, start), |person| customer(person, company))
        });
        let edges = nodes.iter().enumerate().map(|(offset, node)| CustomerEdge {
            cursor: cursor(start + offset + 1),
            node: node.clone(),
        });
        Ok(CustomerConnection {
            edges: edges.collect(),
            nodes,
            page_info,
        })
    }

    /// The things of those ids, at the same places; null where there is none.
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<ID>) -> Result<Vec<Option<Node>>> {
        if ids.len() > 250 {
            return Err(bad_input("ids has more than 250 entries"));
        }
        let data = ctx.data_unchecked::<Data>();
        Ok(read(data, |company| {
            ids.iter().map(|id| node(id, company)).collect()
        }))
    }

    /// Orders, of some customers when these are given.
    #[expect(clippy::too_many_arguments, reason = "the arguments are the vendor's")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        first: i32,
        after: Option<String>,
        customer_ids: Option<Vec<ID>>,
        status: Option<String>,
        sort_key: Option<OrderSortKeys>,
        #[graphql(default)] reverse: bool,
    ) -> Result<OrderConnection> {
        let (size, start) = bounds(first, after.as_deref())?;
        let (nodes, page_info) = read(ctx.data_unchecked::<Data>(), |company| {
            let mut found = match &customer_ids {
                Some(ids) => orders_of(ids, company),
                None => company.shop_orders.iter().collect(),
            };
            found.retain(|one| status.as_ref().is_none_or(|status| state(one) == status));
            match sort_key.unwrap_or(OrderSortKeys::Id) {
                OrderSortKeys::Id => found.sort_by_key(|one| one.index),
                OrderSortKeys::CreatedAt => found.sort_by_key(|one| (one.placed, one.index)),
                OrderSortKeys::UpdatedAt => found.sort_by_key(|one| (one.updated, one.index)),
            }
            if reverse {
                found.reverse();
            }
            page(&found, (size, start), |one| order(one, company))
        });
        let edges = nodes.iter().enumerate().map(|(offset, node)| OrderEdge {
            cursor: cursor(start + offset + 1),
            node: node.clone(),
        });
        Ok(OrderConnection {
            edges: edges.collect(),
            nodes,
            page_info,
        })
    }
}

fn bad_input(message: &str) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", "BAD_USER_INPUT"))
}

fn bounds(first: i32, after: Option<&str>) -> Result<(usize, usize)> {
    if !(1..=FIRST_MAX).contains(&first) {
        return Err(bad_input("first must be from 1 to 250"));
    }
    let start = match after {
        Some(text) => place(text).ok_or_else(|| bad_input("after is not a cursor"))?,
        None => 0,
    };
    Ok((usize::try_from(first).unwrap_or(1), start))
}

fn page<T, N>(
    items: &[&T],
    (size, start): (usize, usize),
    render: impl Fn(&T) -> N,
) -> (Vec<N>, PageInfo) {
    let rest = items.get(start..).unwrap_or_default();
    let nodes: Vec<N> = rest.iter().take(size).map(|one| render(one)).collect();
    let info = PageInfo {
        has_next_page: rest.len() > size,
        end_cursor: (!nodes.is_empty()).then(|| cursor(start + nodes.len())),
    };
    (nodes, info)
}

/// Reads the search language: terms `email:"…"` joined with `OR`, a backslash before quotes and backslashes.
fn addresses(query: &str) -> Result<HashSet<String>> {
    let mut wanted = HashSet::new();
    let mut rest = query.trim();
    loop {
        let term = rest.strip_prefix("email:\"");
        let mut letters = term
            .ok_or_else(|| bad_input("query is not understood"))?
            .chars();
        let mut value = String::new();
        loop {
            match letters.next() {
                Some('"') => break,
                Some('\\') => value.extend(letters.next()),
                Some(letter) => value.push(letter),
                None => return Err(bad_input("query has an open quote")),
            }
        }
        wanted.insert(value.to_lowercase());
        rest = letters.as_str().trim_start();
        if rest.is_empty() {
            return Ok(wanted);
        }
        let next = rest.strip_prefix("OR ");
        rest = next
            .ok_or_else(|| bad_input("query is not understood"))?
            .trim_start();
    }
}

fn person_of<'a>(id: &str, company: &'a Company) -> Option<&'a Person> {
    let number = id.strip_prefix("gid://shop/Customer/")?.parse().ok()?;
    company.by_shop_number(number)
}

fn orders_of<'a>(ids: &[ID], company: &'a Company) -> Vec<&'a orders::Order> {
    let mut found = Vec::new();
    for person in ids.iter().filter_map(|id| person_of(id, company)) {
        found.extend(company.orders_of(person.index, Vendor::Shop));
    }
    found.sort_by_key(|one| one.index);
    found.dedup_by_key(|one| one.index);
    found
}

fn node(id: &str, company: &Company) -> Option<Node> {
    if let Some(person) = person_of(id, company) {
        return Some(Node::Customer(Box::new(customer(person, company))));
    }
    let number: usize = id.strip_prefix("gid://shop/Order/")?.parse().ok()?;
    let found = company
        .shop_orders
        .get(number.checked_sub(5_000_000_001)?)?;
    Some(Node::Order(Box::new(order(found, company))))
}

fn state(order: &orders::Order) -> &'static str {
    let place = usize::from(order.state);
    SHOP_STATES.get(place).copied().unwrap_or_default()
}

fn address(person: &Person) -> MailingAddress {
    let culture = person.culture();
    let city = culture
        .cities
        .get(usize::try_from(person.vary(35, culture.cities.len() as u64)).unwrap_or(0));
    let street = culture.streets.first().copied().unwrap_or_default();
    MailingAddress {
        name: format!("{} {}", person.given, person.family),
        address1: format!("{street} {}", 1 + person.vary(37, 180)),
        address2: (person.vary(81, 3) == 0).then(String::new),
        city: city.map(|city| city.0),
        zip: city.map(|city| city.1),
        country: culture.country_name,
        country_code: (person.vary(82, 5) > 0).then_some(culture.country_code),
    }
}

fn customer(person: &Person, company: &Company) -> Customer {
    let email = person.email_in(Vendor::Shop);
    let phone = (person.vary(83, 2) == 0).then(|| person.phone_in(Vendor::Shop));
    let count = company.orders_of(person.index, Vendor::Shop).len();
    Customer {
        id: ID(format!("gid://shop/Customer/{}", person.shop_number())),
        first_name: (person.index == 0 || person.vary(84, 15) > 0)
            .then(|| person.given.to_string()),
        last_name: person.family.to_string(),
        display_name: format!("{} {}", person.given, person.family),
        email: (!email.is_empty()).then_some(email),
        phone,
        state: if person.vary(85, 4) == 0 {
            "INVITED"
        } else {
            "ENABLED"
        },
        locale: person.culture().language,
        number_of_orders: count.to_string(),
        tags: if person.relay_email.is_some() {
            vec!["marketplace"]
        } else {
            Vec::new()
        },
        note: (person.vary(86, 12) == 0).then_some("rings twice 🔔"),
        default_address: (person.index == 0 || person.vary(87, 6) > 0).then(|| address(person)),
        created_at: rfc3339(person.created(Vendor::Shop)),
        updated_at: rfc3339(person.updated(Vendor::Shop)),
    }
}

fn line_items(order: &orders::Order, number: usize) -> Vec<LineItem> {
    let mut items = Vec::with_capacity(order.lines.len());
    for (place, line) in order.lines.iter().enumerate() {
        let (sku, title, _) = line.article();
        items.push(LineItem {
            id: ID(format!("gid://shop/LineItem/{number}{place}")),
            title,
            sku: (!order.mood.is_multiple_of(11)).then_some(sku),
            quantity: i32::from(line.quantity),
            original_unit_price: amount(order.currency(), line.unit),
            original_total: amount(order.currency(), line.total()),
        });
    }
    items
}

fn fulfillments(order: &orders::Order, number: usize) -> Vec<Fulfillment> {
    if order.state != 2 {
        return Vec::new();
    }
    let tracking = format!("1Z{:010}", order.mood % 10_000_000_000);
    vec![Fulfillment {
        id: ID(format!("gid://shop/Fulfillment/{number}")),
        status: if order.mood.is_multiple_of(13) {
            "FAILURE"
        } else {
            "SUCCESS"
        },
        tracking_company: Some("UPS"),
        tracking_url: Some(format!("https://track.parcels.invalid/{tracking}")),
        tracking_number: Some(tracking),
        created_at: rfc3339(order.placed + DAY),
    }]
}

fn order(order: &orders::Order, company: &Company) -> Order {
    let number = 5_000_000_001 + order.index;
    let currency = order.currency();
    let person = company.person(order.person);
    let is_cancelled = order.state == 3;
    let payments = ["PENDING", "PAID", "REFUNDED", "PARTIALLY_PAID"];
    let email = person.map(|person| person.email_in(Vendor::Shop));
    Order {
        id: ID(format!("gid://shop/Order/{number}")),
        name: format!("#{}", 1001 + order.index),
        email: email.filter(|email| !email.is_empty()),
        status: state(order),
        display_financial_status: payments.get(usize::from(order.payment)).copied(),
        display_fulfillment_status: if order.state == 2 {
            "FULFILLED"
        } else {
            "UNFULFILLED"
        },
        currency_code: currency.code,
        subtotal_price: amount(currency, order.subtotal()),
        total_tax: amount(currency, order.tax()),
        total_shipping_price: amount(currency, order.shipping()),
        total_price: amount(currency, order.total()),
        line_items: line_items(order, number),
        shipping_address: person.map(address),
        fulfillments: fulfillments(order, number),
        cancel_reason: is_cancelled.then_some("CUSTOMER"),
        cancelled_at: is_cancelled.then(|| rfc3339(order.updated)),
        created_at: rfc3339(order.placed),
        updated_at: rfc3339(order.updated),
        customer: person.map(|person| customer(person, company)),
    }
}
