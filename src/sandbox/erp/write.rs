//! Customers and orders as the ERP writes them: capital letters, codes, naive times, and three ways of having no value.

use crate::sandbox::{
    Vendor,
    company::{
        Company,
        clock::{DAY, berlin, day},
        orders::{Line, Order},
        people::Person,
    },
    erp::{
        customer_id,
        envelope::{nil, tag},
        order_id, state_of,
    },
};

const SPACES: &str = "xmlns:ns2=\"urn:acme:erp:v2\" xmlns:t=\"urn:acme:erp:types:v2\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/// Writes an answer with customers.
pub(crate) fn customers<'a>(name: &str, people: impl Iterator<Item = &'a Person>) -> String {
    let mut out = format!("<ns2:{name} {SPACES}><ns2:Customers>");
    for person in people {
        customer(&mut out, person);
    }
    out.push_str(&format!("</ns2:Customers></ns2:{name}>"));
    out
}

/// Writes an answer with orders; the total only where there are pages.
pub(crate) fn orders(
    (name, total): (&str, Option<usize>),
    orders: &[&Order],
    company: &Company,
) -> String {
    let mut out = format!("<ns2:{name} {SPACES}>");
    if let Some(total) = total {
        out.push_str(&format!("<ns2:TotalCount>{total}</ns2:TotalCount>"));
    }
    out.push_str("<ns2:Orders>");
    for one in orders {
        order(&mut out, one, company);
    }
    out.push_str(&format!("</ns2:Orders></ns2:{name}>"));
    out
}

fn customer(out: &mut String, person: &Person) {
    out.push_str("<t:Customer>");
    tag(out, "CustomerId", &person.erp_id());
    let name = format!("{}, {}", person.family.to_uppercase(), person.given);
    tag(out, "Name1", &name);
    out.push_str("<t:Name2/>");
    tag(out, "Email", &person.email_in(Vendor::Erp));
    match person.vary(71, 5) {
        0 => nil(out, "Phone"),
        1 => {}
        _ => tag(out, "Phone", &person.phone_in(Vendor::Erp)),
    }
    let status = match person.vary(72, 20) {
        _ if person.index == 0 => "A",
        0 => "B",
        1 => "L",
        2 => "Z",
        _ => "A",
    };
    tag(out, "Status", status);
    tag(out, "Language", &person.culture().language.to_uppercase());
    let limit = format!("{}.00", 1_000 * person.vary(73, 90));
    tag(out, "CreditLimit", &limit);
    tag(out, "Currency", "EUR");
    tag(out, "PaymentTerms", "ZB30");
    address(out, "Address", person);
    tag(out, "CreatedAt", &berlin(person.created(Vendor::Erp)));
    tag(out, "UpdatedAt", &berlin(person.updated(Vendor::Erp)));
    out.push_str("</t:Customer>");
}

fn address(out: &mut String, name: &str, person: &Person) {
    let culture = person.culture();
    let pick =
        |purpose, bound: usize| usize::try_from(person.vary(purpose, bound as u64)).unwrap_or(0);
    let street = culture.streets.get(pick(34, culture.streets.len()));
    let city = culture.cities.get(pick(35, culture.cities.len()));
    let (city, postal_code) = city.copied().unwrap_or_default();
    let street = format!(
        "{} {}",
        street.copied().unwrap_or_default(),
        1 + person.vary(37, 180)
    );
    out.push_str(&format!("<t:{name}>"));
    tag(out, "Street", &street.to_uppercase());
    tag(out, "City", city);
    tag(out, "PostalCode", postal_code);
    tag(out, "Country", culture.country_code);
    out.push_str(&format!("</t:{name}>"));
}

fn order(out: &mut String, order: &Order, company: &Company) {
    let person = company.person(order.person);
    let currency = order.currency();
    out.push_str("<t:Order>");
    tag(out, "OrderId", &order_id(order));
    tag(out, "CustomerId", &customer_id(person));
    match order.mood % 5 {
        0 => nil(out, "CustomerReference"),
        1 => out.push_str("<t:CustomerReference></t:CustomerReference>"),
        2 => {}
        _ => tag(
            out,
            "CustomerReference",
            &format!("PO-{}", order.mood % 9973),
        ),
    }
    tag(out, "Status", state_of(order));
    tag(
        out,
        "PaymentState",
        code(&["00", "50", "60", "70"], order.payment),
    );
    tag(
        out,
        "DeliveryState",
        code(&["A", "B", "C", "X"], order.delivery),
    );
    tag(out, "Currency", currency.code);
    tag(out, "NetAmount", &currency.text(order.subtotal()));
    tag(out, "TaxAmount", &currency.text(order.tax()));
    tag(out, "FreightAmount", &currency.text(order.shipping()));
    tag(out, "TotalAmount", &currency.text(order.total()));
    out.push_str("<t:Lines>");
    for (number, line) in order.lines.iter().enumerate() {
        write_line(out, number, line, order);
    }
    out.push_str("</t:Lines>");
    if let Some(person) = person {
        address(out, "ShipTo", person);
    }
    deliveries(out, order);
    tag(out, "OrderedAt", &berlin(order.placed));
    tag(out, "UpdatedAt", &berlin(order.updated));
    tag(out, "RequestedDay", &day(order.placed + 5 * DAY));
    out.push_str("</t:Order>");
}

fn code(codes: &[&'static str; 4], place: u8) -> &'static str {
    codes.get(usize::from(place)).copied().unwrap_or_default()
}

fn write_line(out: &mut String, number: usize, line: &Line, order: &Order) {
    let (sku, title, _) = line.article();
    let currency = order.currency();
    out.push_str("<t:Line>");
    tag(out, "LineNo", &format!("{:04}", 10 * (number + 1)));
    tag(out, "Material", sku);
    tag(out, "Text", title);
    tag(out, "Quantity", &format!("{}.000", line.quantity));
    tag(out, "UnitPrice", &currency.text(line.unit));
    tag(out, "LineAmount", &currency.text(line.total()));
    out.push_str("</t:Line>");
}

fn deliveries(out: &mut String, order: &Order) {
    if order.delivery == 0 {
        out.push_str("<t:Deliveries/>");
        return;
    }
    out.push_str("<t:Deliveries><t:Delivery>");
    tag(out, "DeliveryId", &format!("008{:07}", order.index));
    tag(out, "Carrier", "DHL");
    if order.mood.is_multiple_of(4) {
        nil(out, "TrackingNumber");
    } else {
        tag(
            out,
            "TrackingNumber",
            &format!("JJD{:012}", order.mood % 1_000_000_000_000),
        );
    }
    tag(out, "ShippedAt", &berlin(order.placed + DAY));
    out.push_str("</t:Delivery></t:Deliveries>");
}
