//! Links the records of many customers, wave by wave, by the rules of the gateway.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::Outcome;
use crate::hand::record::{Person, Source};
use crate::hand::vendor::Vendors;

/// How far identifiers of found records are followed.
const ROUNDS_MAX: u8 = 2;
/// How many look-ups one source is asked for one customer, one after the other.
const WAVES_MAX: usize = 10;

/// By what a look-up is made; the stronger first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// By an id.
    Id,
    /// By an address.
    Email,
}

/// A customer with the records found so far.
#[derive(Debug)]
pub struct Customer {
    /// The records, in the order in which they were found.
    pub records: Vec<Arc<Person>>,
    /// The sources that were asked.
    pub asked_sources: Vec<Source>,
    rounds: Vec<u8>,
    held: Vec<Source>,
    asked: HashSet<(Source, Kind, String)>,
}

struct Lookup {
    customer: usize,
    key: String,
    round: u8,
}

/// Finds the records of each seed's customer at the other vendors.
pub async fn resolve(vendors: &Vendors, seeds: Vec<Person>) -> Outcome<Vec<Customer>> {
    let mut customers: Vec<Customer> = seeds.into_iter().map(Customer::of).collect();
    for _ in 0..WAVES_MAX {
        let wave = plan(&mut customers);
        if wave.is_empty() {
            break;
        }
        let asked = wave.into_iter().map(|((kind, source), lookups)| async move {
            let keys = lookups.iter().map(|lookup| lookup.key.clone()).collect();
            let found = vendors.people(source, kind, keys).await?;
            Outcome::Ok((kind, source, lookups, found))
        });
        // In the order of the map: by kind, then by source.
        for (kind, source, lookups, found) in try_join_all(asked).await? {
            judge(&mut customers, (kind, source), lookups, &found);
        }
    }
    for customer in &mut customers {
        customer.records.sort_by_key(|person| person.source);
    }
    Ok(customers)
}

impl Customer {
    fn of(seed: Person) -> Self {
        Self {
            asked_sources: vec![seed.source],
            records: vec![Arc::new(seed)],
            rounds: vec![0],
            held: Vec::new(),
            asked: HashSet::new(),
        }
    }

    /// The record of one vendor.
    pub fn of_source(&self, source: Source) -> Option<&Person> {
        let mut records = self.records.iter();
        records
            .find(|person| person.source == source)
            .map(|person| &**person)
    }

    fn next(&mut self, source: Source) -> Option<(Kind, Vec<(String, u8)>)> {
        if self.of_source(source).is_some() || self.held.contains(&source) {
            return None;
        }
        for kind in [Kind::Id, Kind::Email] {
            let mut lookups = Vec::new();
            for (person, round) in self.records.iter().zip(&self.rounds) {
                for key in keys(person, source, kind) {
                    let asked = (source, kind, key.to_owned());
                    let takes_one = matches!(source, Source::Helpdesk | Source::Marketing)
                        && kind == Kind::Email;
                    if self.asked.contains(&asked)
                        || *round >= ROUNDS_MAX
                        || (takes_one && !lookups.is_empty())
                    {
                        continue;
                    }
                    lookups.push((key.to_owned(), round + 1));
                    self.asked.insert(asked);
                }
            }
            if !lookups.is_empty() {
                return Some((kind, lookups));
            }
        }
        None
    }

    /// Whether the record may be one of this customer.
    fn admits(&self, hit: &Person, kind: Kind) -> bool {
        let contradicts = |left: &Person, right: &Person| {
            let other = left.external.as_ref();
            other.is_some_and(|(source, id)| *source == right.source && *id != right.id)
        };
        let mut records = self.records.iter();
        if hit.deleted || records.any(|one| contradicts(one, hit) || contradicts(hit, one)) {
            return false;
        }
        let claimed = |person: &Person| person.source >= Source::Shop;
        let financial = |person: &Person| person.source == Source::Erp;
        let is_hazard = self.records.iter().any(|one| {
            (claimed(one) && financial(hit)) || (claimed(hit) && financial(one))
        });
        let shares = |one: &Person| {
            let mut keys = one.emails.iter().filter_map(|email| email.key.as_ref());
            keys.any(|key| hit.emails.iter().any(|email| email.key.as_ref() == Some(key)))
        };
        kind == Kind::Id
            || !is_hazard
            || self.records.iter().any(|one| !claimed(one) && shares(one))
    }
}

/// The keys by which a record's counterpart at a source can be found.
fn keys(person: &Person, source: Source, kind: Kind) -> Vec<&str> {
    match (kind, source) {
        (Kind::Email, _) => person.keys().collect(),
        (Kind::Id, Source::Helpdesk) if person.source == Source::Crm => vec![&person.id],
        (Kind::Id, Source::Erp) => match &person.external {
            Some((Source::Erp, id)) => vec![id],
            _ => Vec::new(),
        },
        (Kind::Id, _) => Vec::new(),
    }
}

fn plan(customers: &mut [Customer]) -> BTreeMap<(Kind, Source), Vec<Lookup>> {
    let mut wave: BTreeMap<_, Vec<Lookup>> = BTreeMap::new();
    for (index, customer) in customers.iter_mut().enumerate() {
        for source in [
            Source::Erp,
            Source::Shop,
            Source::Helpdesk,
            Source::Marketing,
        ] {
            let Some((kind, lookups)) = customer.next(source) else {
                continue;
            };
            if !customer.asked_sources.contains(&source) {
                customer.asked_sources.push(source);
            }
            let lookups = lookups.into_iter().map(|(key, round)| Lookup {
                customer: index,
                key,
                round,
            });
            wave.entry((kind, source)).or_default().extend(lookups);
        }
    }
    wave
}

fn judge(
    customers: &mut [Customer],
    (kind, source): (Kind, Source),
    lookups: Vec<Lookup>,
    found: &HashMap<String, Vec<Arc<Person>>>,
) {
    let mut hits: BTreeMap<usize, (Vec<Arc<Person>>, u8)> = BTreeMap::new();
    for lookup in lookups {
        for person in found.get(&lookup.key).into_iter().flatten() {
            let hit = hits.entry(lookup.customer);
            let (people, round) = hit.or_insert_with(|| (Vec::new(), lookup.round));
            *round = lookup.round.min(*round);
            if !people.iter().any(|known| known.id == person.id) {
                people.push(person.clone());
            }
        }
    }
    for (index, (people, round)) in hits {
        let Some(customer) = customers.get_mut(index) else {
            continue;
        };
        match people.as_slice() {
            [single] if customer.admits(single, kind) => {
                customer.records.push(single.clone());
                customer.rounds.push(round);
            }
            _ => customer.held.push(source),
        }
    }
}
