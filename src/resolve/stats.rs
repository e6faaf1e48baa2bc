//! Aggregates over what the linked sources report of one customer: counted and summed from the records themselves, never
//! across currencies, and never a part of a sum as if it were the whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::record::value::{Object, Value};
use crate::resolve::argument::Arguments;
use crate::resolve::item::{Child, Entity, Item, Resolved, count};
use crate::resolve::order::instant;
use crate::resolve::relation::Held;
use crate::resolve::{Run, whole};
use crate::schema::Catalog;

/// The type of the aggregates.
const STATS: &str = "CustomerStats";

/// Resolves `stats` of each customer.
pub async fn resolve(run: &Run, parents: &[Item], arguments: &Arguments) -> Vec<Resolved> {
    let (orders, tickets) = futures_util::join!(
        whole::held(run, "orders", parents, &[]),
        whole::held(run, "tickets", parents, &[])
    );
    let (orders, tickets) = match (orders, tickets) {
        (Ok(orders), Ok(tickets)) => (orders, tickets),
        (Err(error), _) | (_, Err(error)) => {
            return parents.iter().map(|_| Err(error.clone())).collect();
        }
    };
    let asked = arguments.text("currency");
    let pairs = orders.iter().zip(&tickets).zip(parents);
    pairs
        .map(|((orders, tickets), parent)| {
            let orders = orders.as_ref().filter(|held| held.is_told);
            let tickets = tickets.as_ref().filter(|held| held.is_told);
            let told = stats(run, orders, tickets, asked.as_deref());
            Ok(of_customer(run, parent, told))
        })
        .collect()
}

/// The aggregates as a part of their customer, so that what only some of them need is read when they are selected.
fn of_customer(run: &Run, parent: &Item, told: Value) -> Child {
    match (parent, run.catalog().object(STATS), told) {
        (Item::Entity(parent), Some((def, _)), Value::Object(data)) => {
            let mut stats = Entity::clone(parent);
            stats.ty = def.id;
            stats.data = data;
            Child::Item(Item::Entity(Arc::new(stats)))
        }
        _ => Child::Null,
    }
}

/// When each customer was last written to, of the aggregates of these customers.
pub async fn last_contacted(run: &Run, parents: &[Item]) -> Vec<Resolved> {
    let held = match whole::held(run, "messages", parents, &[]).await {
        Ok(held) => held,
        Err(error) => return parents.iter().map(|_| Err(error.clone())).collect(),
    };
    let last = |held: &Held| {
        let mut sent = seen(run, held);
        sent.retain(|message| text(run.catalog(), message, "direction") == Some("OUTBOUND"));
        moment(run.catalog(), &sent, "sentAt", true)
    };
    held.iter()
        .map(|held| {
            let time = held.as_ref().filter(|held| held.is_told).and_then(last);
            Ok(Child::Value(time.unwrap_or_default()))
        })
        .collect()
}

fn stats(run: &Run, orders: Option<&Held>, tickets: Option<&Held>, asked: Option<&str>) -> Value {
    let catalog = run.catalog();
    let orders = orders.map(|held| (seen(run, held), held.is_complete));
    let tickets = tickets.map(|held| (seen(run, held), held.is_complete));
    let number = |counted: Option<(usize, bool)>| {
        counted.map_or(Value::Null, |(found, is_complete)| {
            let precision = if is_complete { "EXACT" } else { "AT_LEAST" };
            count(run, found as u64, precision)
        })
    };
    let order_count = orders.as_ref().map(|(found, whole)| (found.len(), *whole));
    let ticket_count = tickets.as_ref().map(|(found, whole)| (found.len(), *whole));
    let open_count = tickets.as_ref().map(|(found, whole)| {
        let open = found.iter().filter(|ticket| is_open(catalog, ticket));
        (open.count(), *whole)
    });
    let placed = |last| {
        orders
            .as_ref()
            .and_then(|(found, _)| moment(catalog, found, "placedAt", last))
    };
    let opened = tickets
        .as_ref()
        .and_then(|(found, _)| moment(catalog, found, "createdAt", true));
    let spent = orders
        .as_ref()
        .filter(|(_, is_complete)| *is_complete)
        .map(|(found, _)| spent(catalog, found));
    let sums = spent.as_ref().map(Spent::sums).unwrap_or_default();
    let (total, average) = spent.as_ref().and_then(|spent| spent.in_one(asked)).map_or(
        (None, None),
        |(currency, sum)| {
            (
                Some(sum.money(catalog, &currency)),
                sum.average(catalog, &currency),
            )
        },
    );
    let by_currency = sums
        .iter()
        .map(|(currency, sum)| sum.money(catalog, currency));
    catalog
        .build(STATS)
        .set("orderCount", number(order_count))
        .set("totalSpent", total.unwrap_or_default())
        .set("totalSpentByCurrency", Value::List(by_currency.collect()))
        .set("averageOrderValue", average.unwrap_or_default())
        .set("firstOrderAt", placed(false).unwrap_or_default())
        .set("lastOrderAt", placed(true).unwrap_or_default())
        .set("openTicketCount", number(open_count))
        .set("ticketCount", number(ticket_count))
        .set("lastTicketAt", opened.unwrap_or_default())
        .set(
            "satisfactionScore",
            tickets.map_or(Value::Null, |(found, _)| satisfaction(catalog, &found)),
        )
        .value()
}

fn seen(run: &Run, held: &Held) -> Vec<Arc<Object>> {
    whole::seen(run, held).map(|(_, data)| data).collect()
}

fn text<'a>(catalog: &Catalog, object: &'a Object, field: &str) -> Option<&'a str> {
    catalog.read(object, field)?.as_text()
}

fn is_open(catalog: &Catalog, ticket: &Object) -> bool {
    matches!(
        text(catalog, ticket, "status"),
        Some("NEW" | "OPEN" | "PENDING" | "ON_HOLD")
    )
}

/// The first or last value of a field that holds a time.
fn moment(catalog: &Catalog, found: &[Arc<Object>], field: &str, last: bool) -> Option<Value> {
    let times = found.iter().filter_map(|object| {
        let text = text(catalog, object, field)?;
        Some((instant(text)?, text))
    });
    let found = if last { times.max() } else { times.min() };
    found.map(|(_, text)| Value::from(text))
}

/// The score of the ticket that was rated last.
fn satisfaction(catalog: &Catalog, tickets: &[Arc<Object>]) -> Value {
    let scores = tickets.iter().filter_map(|ticket| {
        let rating = catalog.read(ticket, "satisfaction")?.object()?;
        let score = catalog.read(rating, "score")?;
        let rated = text(catalog, rating, "ratedAt").or_else(|| text(catalog, ticket, "updatedAt"));
        let is_told = !matches!(score, Value::Null);
        is_told.then(|| (rated.and_then(instant), score.clone()))
    });
    scores
        .max_by_key(|(rated, _)| *rated)
        .map_or(Value::Null, |(_, score)| score)
}

/// What was paid in one currency.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    amount: Decimal,
    orders: u32,
}

impl Sum {
    fn money(self, catalog: &Catalog, currency: &str) -> Value {
        money(catalog, self.amount, currency)
    }

    /// The mean, with as many decimals as the amounts have.
    fn average(self, catalog: &Catalog, currency: &str) -> Option<Value> {
        let mean = self.amount.checked_div(Decimal::from(self.orders))?;
        Some(money(catalog, mean.round_dp(self.amount.scale()), currency))
    }
}

fn money(catalog: &Catalog, amount: Decimal, currency: &str) -> Value {
    catalog
        .build("Money")
        .set("amount", Value::from(amount.to_string().as_str()))
        .set("currency", Value::from(currency))
        .value()
}

/// What was paid, by currency; nothing for a currency in which it can't be told.
#[derive(Debug, Default)]
struct Spent(BTreeMap<String, Option<Sum>>, bool);

impl Spent {
    fn sums(&self) -> Vec<(String, Sum)> {
        let told = |(currency, sum): (&String, &Option<Sum>)| Some((currency.clone(), (*sum)?));
        if self.1 {
            return Vec::new();
        }
        self.0.iter().filter_map(told).collect()
    }

    /// The sum in the asked currency, else in the only one.
    fn in_one(&self, asked: Option<&str>) -> Option<(String, Sum)> {
        if self.1 {
            return None;
        }
        match asked {
            Some(asked) => {
                let sum = self.0.get(asked).copied().unwrap_or(Some(Sum::default()))?;
                Some((asked.to_owned(), sum))
            }
            None if self.0.len() == 1 => self.sums().pop(),
            None => None,
        }
    }

    fn add(&mut self, currency: &str, paid: Option<Decimal>) {
        let sum = self
            .0
            .entry(currency.to_owned())
            .or_insert_with(|| Some(Sum::default()));
        *sum = sum.and_then(|sum| {
            Some(Sum {
                amount: sum.amount.checked_add(paid?)?,
                orders: sum.orders + 1,
            })
        });
    }
}

/// How an order counts.
#[derive(Debug, PartialEq, Eq)]
enum Paid {
    No,
    Yes,
    /// Less what was paid back.
    Part,
    /// The source does not say.
    Untold,
}

fn paid(state: Option<&str>) -> Paid {
    match state {
        Some("PAID") => Paid::Yes,
        Some("PARTIALLY_REFUNDED") => Paid::Part,
        Some(
            "PENDING" | "AUTHORIZED" | "PARTIALLY_PAID" | "REFUNDED" | "VOIDED" | "EXPIRED"
            | "FAILED",
        ) => Paid::No,
        _ => Paid::Untold,
    }
}

fn spent(catalog: &Catalog, orders: &[Arc<Object>]) -> Spent {
    let mut spent = Spent::default();
    for order in orders {
        let state = paid(text(catalog, order, "paymentStatus"));
        if state == Paid::No {
            continue;
        }
        let part = |field: &str| {
            let money = catalog.read(order, field)?.object()?;
            let amount = Decimal::from_str_exact(text(catalog, money, "amount")?).ok()?;
            Some((text(catalog, money, "currency")?, amount))
        };
        let Some((currency, total)) = part("total") else {
            // Its currency isn't known either, so that no sum is sure.
            spent.1 = true;
            continue;
        };
        let refunded = part("refundedTotal").filter(|(other, _)| *other == currency);
        let refunded = refunded.map(|(_, amount)| amount);
        let amount = match state {
            Paid::Yes => total.checked_sub(refunded.unwrap_or_default()),
            Paid::Part => refunded.and_then(|refunded| total.checked_sub(refunded)),
            Paid::Untold | Paid::No => None,
        };
        spent.add(currency, amount);
    }
    spent
}
