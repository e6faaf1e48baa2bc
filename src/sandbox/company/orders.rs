//! Orders, of the ERP and of the shop alike; each vendor writes them in its own way.

use crate::sandbox::{
    Vendor,
    company::{
        clock::{DAY, PRESENT},
        money::Currency,
        names::{PRODUCTS, Product},
        people::Person,
    },
    random::Random,
};

const STREAM_ORDERS: u64 = 10;

/// One line of an order.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The place of the product in the catalogue.
    pub(crate) product: u8,
    /// How many.
    pub quantity: u8,
    /// Price of one, in minor units.
    pub unit: i64,
}

impl Line {
    /// Price of the line in minor units.
    pub fn total(&self) -> i64 {
        self.unit * i64::from(self.quantity)
    }

    /// What was bought.
    pub(crate) fn article(&self) -> Product {
        let place = usize::from(self.product);
        PRODUCTS.get(place).copied().unwrap_or_default()
    }
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    /// The place in its vendor's list.
    pub index: usize,
    /// The place of the buyer in the list of people.
    pub person: usize,
    /// When it was placed, in seconds since 1970.
    pub placed: u32,
    /// When it was last changed, in seconds since 1970.
    pub updated: u32,
    /// The place of the state in the vendor's own table of states.
    pub state: u8,
    /// The place of the payment's state.
    pub payment: u8,
    /// The place of the delivery's state.
    pub delivery: u8,
    /// What was bought; at least one line.
    pub lines: Box<[Line]>,
    /// The currency's place in the table.
    pub(crate) currency: u8,
    /// Bits that vary details.
    pub(crate) mood: u64,
}

impl Order {
    /// The currency of all its amounts.
    pub fn currency(&self) -> Currency {
        Currency::at(self.currency)
    }

    /// The goods' price in minor units.
    pub fn subtotal(&self) -> i64 {
        self.lines.iter().map(Line::total).sum()
    }

    /// The tax in minor units: a fifth, cut off.
    pub fn tax(&self) -> i64 {
        self.subtotal() / 5
    }

    /// What it costs to send, in minor units.
    pub fn shipping(&self) -> i64 {
        if self.mood.is_multiple_of(3) { 0 } else { 490 }
    }

    /// What the buyer pays, in minor units.
    pub fn total(&self) -> i64 {
        self.subtotal() + self.tax() + self.shipping()
    }
}

/// The states that the shop has; `WEIRD_HOLD` is one that no client expects.
pub(crate) const SHOP_STATES: [&str; 6] = [
    "OPEN",
    "PROCESSING",
    "FULFILLED",
    "CANCELLED",
    "RETURNED",
    "WEIRD_HOLD",
];
/// The codes of the ERP's order states: open, in work, done, cancelled, and one that no client expects.
pub(crate) const ERP_STATES: [&str; 6] = ["10", "20", "80", "90", "85", "WEIRD_HOLD"];

/// Makes one vendor's orders, buyer by buyer.
pub(crate) fn make_orders(seed: u64, people: &[Person], vendor: Vendor) -> Vec<Order> {
    let mut orders = Vec::with_capacity(people.len() * 3);
    for person in people.iter().filter(|person| person.is_in(vendor)) {
        let stream = STREAM_ORDERS + vendor as u64;
        let mut random = Random::new(seed, stream, person.index as u64);
        let count = match person.index {
            0 => 4,
            _ => random.below(9),
        };
        for number in 0..count {
            let index = orders.len();
            orders.push(make_order(&mut random, person, index));
            if person.index == 0 && number == 0 {
                make_regular(orders.last_mut());
            }
        }
    }
    make_enormous(orders.get_mut(9));
    orders
}

fn make_order(random: &mut Random, person: &Person, index: usize) -> Order {
    let age = u32::try_from(random.below(900 * u64::from(DAY))).unwrap_or(0);
    let placed = PRESENT - 2 * DAY - age;
    let until = u64::from(PRESENT - placed).min(40 * u64::from(DAY));
    let currency = match random.below(10) {
        0 => random.small(6),
        _ => person.culture().currency,
    };
    let state = match random.below(200) {
        0 | 1 => 5,
        2..40 => 0,
        40..70 => 1,
        70..85 => 3,
        85..92 => 4,
        _ => 2,
    };
    Order {
        index,
        person: person.index,
        placed,
        updated: placed + u32::try_from(random.below(until)).unwrap_or(0),
        state,
        payment: random.small(4),
        delivery: random.small(4),
        lines: (0..1 + random.below(4))
            .map(|_| make_line(random))
            .collect(),
        currency,
        mood: random.next(),
    }
}

fn make_line(random: &mut Random) -> Line {
    let product = random.small(20);
    let (_, _, cents) = PRODUCTS
        .get(usize::from(product))
        .copied()
        .unwrap_or_default();
    Line {
        product,
        quantity: 1 + random.small(3),
        unit: cents,
    }
}

/// The first order is an ordinary one that is on its way, which makes a good first answer.
fn make_regular(order: Option<&mut Order>) {
    if let Some(order) = order {
        order.state = 1;
        order.payment = 1;
        order.delivery = 1;
        order.currency = 0;
    }
}

/// One order is too large for a float with cents to spare: its subtotal is 1234567890123.45.
fn make_enormous(order: Option<&mut Order>) {
    if let Some(order) = order {
        order.currency = 0;
        order.lines = Box::new([Line {
            product: 13,
            quantity: 1,
            unit: 123_456_789_012_345,
        }]);
    }
}
