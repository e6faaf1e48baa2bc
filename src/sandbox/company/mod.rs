//! The company's data: made from a seed, the same in every run, and shared by all vendors.

pub mod campaigns;
pub mod clock;
pub mod money;
pub(crate) mod names;
pub mod orders;
pub mod people;
pub mod tickets;

use std::{collections::HashMap, ops::Range};

use crate::sandbox::{
    Vendor,
    company::{
        campaigns::{Campaign, Membership},
        clock::PRESENT,
        orders::Order,
        people::{Employer, Person},
        tickets::Ticket,
    },
};

/// Everything that the vendors know. Lists that belong to people are in the order of the people.
#[derive(Debug, Clone)]
pub struct Company {
    /// The people; Ana Silva is the first.
    pub people: Vec<Person>,
    /// The companies that they work for.
    pub employers: Vec<Employer>,
    /// The ERP's orders.
    pub erp_orders: Vec<Order>,
    /// The shop's orders.
    pub shop_orders: Vec<Order>,
    /// The helpdesk's tickets.
    pub tickets: Vec<Ticket>,
    /// The campaigns.
    pub campaigns: Vec<Campaign>,
    /// Who received which campaign.
    pub memberships: Vec<Membership>,
    by_marketing_id: HashMap<String, usize>,
    changes: u32,
}

impl Company {
    /// Makes the company of that seed with so many people.
    pub fn new(seed: u64, customers: usize) -> Self {
        let employers = people::make_employers(seed, (customers / 8).max(1));
        let mut people = people::make_people(seed, customers.max(1), &employers);
        let by_marketing_id = index_marketing(&mut people);
        let campaigns = campaigns::make_campaigns(seed);
        Self {
            erp_orders: orders::make_orders(seed, &people, Vendor::Erp),
            shop_orders: orders::make_orders(seed, &people, Vendor::Shop),
            tickets: tickets::make_tickets(seed, &people),
            memberships: campaigns::make_memberships(seed, &people, &campaigns),
            campaigns,
            people,
            employers,
            by_marketing_id,
            changes: 0,
        }
    }

    /// The people who have a record with the vendor, in order.
    pub fn people_in(&self, vendor: Vendor) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(move |one| one.is_in(vendor))
    }

    /// The person at that place.
    pub fn person(&self, index: usize) -> Option<&Person> {
        self.people.get(index)
    }

    /// The person of that CRM contact.
    pub fn by_crm_id(&self, id: &str) -> Option<&Person> {
        let offset = id.parse::<u64>().ok()?.checked_sub(people::ANA_CRM_ID)?;
        self.numbered(offset, 1_002, Vendor::Crm)
    }

    /// The person of that ERP customer; the leading zeros count.
    pub fn by_erp_id(&self, id: &str) -> Option<&Person> {
        let offset = id.parse::<u64>().ok()?.checked_sub(104_711)?;
        let person = self.numbered(offset, 7, Vendor::Erp)?;
        (person.erp_id() == id).then_some(person)
    }

    /// The person of that helpdesk user.
    pub fn by_helpdesk_id(&self, id: &str) -> Option<&Person> {
        let offset = id
            .parse::<u64>()
            .ok()?
            .checked_sub(people::ANA_HELPDESK_ID)?;
        self.numbered(offset, 13, Vendor::Helpdesk)
    }

    /// The person of that shop customer, by the number within the global id.
    pub fn by_shop_number(&self, number: u64) -> Option<&Person> {
        self.numbered(number.checked_sub(7_001_000_001)?, 3, Vendor::Shop)
    }

    /// The person of that marketing contact.
    pub fn by_marketing_id(&self, id: &str) -> Option<&Person> {
        self.person(*self.by_marketing_id.get(id)?)
    }

    /// The person's orders in the ERP or the shop.
    pub fn orders_of(&self, person: usize, vendor: Vendor) -> &[Order] {
        let orders = self.orders(vendor);
        let range = range_of(orders, person, |order| order.person);
        orders.get(range).unwrap_or_default()
    }

    /// All orders of the ERP or the shop; other vendors have none.
    pub fn orders(&self, vendor: Vendor) -> &[Order] {
        match vendor {
            Vendor::Erp => &self.erp_orders,
            Vendor::Shop => &self.shop_orders,
            Vendor::Crm
            | Vendor::Helpdesk
            | Vendor::Marketing
            | Vendor::Payments
            | Vendor::Mail
            | Vendor::Social => &[],
        }
    }

    /// The person's tickets.
    pub fn tickets_of(&self, person: usize) -> &[Ticket] {
        let range = range_of(&self.tickets, person, |ticket| ticket.person);
        self.tickets.get(range).unwrap_or_default()
    }

    /// The person's memberships.
    pub fn memberships_of(&self, person: usize) -> &[Membership] {
        let range = range_of(&self.memberships, person, |one| one.person as usize);
        self.memberships.get(range).unwrap_or_default()
    }

    /// Gives a person another name, and says at every vendor that the record changed. False when there is no such person.
    pub fn rename(&mut self, person: usize, given: &str, family: &str) -> bool {
        let moment = self.next_moment();
        let Some(person) = self.people.get_mut(person) else {
            return false;
        };
        person.given = given.into();
        person.family = family.into();
        for vendor in Vendor::OF_PEOPLE {
            person.touch(vendor, moment);
        }
        true
    }

    /// Puts an order of the ERP or the shop into another state, by its place in the vendor's table. False when there is no such order.
    pub fn set_order_state(&mut self, vendor: Vendor, order: usize, state: u8) -> bool {
        let moment = self.next_moment();
        let orders = match vendor {
            Vendor::Erp => &mut self.erp_orders,
            Vendor::Shop => &mut self.shop_orders,
            Vendor::Crm
            | Vendor::Helpdesk
            | Vendor::Marketing
            | Vendor::Payments
            | Vendor::Mail
            | Vendor::Social => return false,
        };
        let Some(order) = orders.get_mut(order) else {
            return false;
        };
        order.state = state;
        order.updated = moment;
        true
    }

    fn next_moment(&mut self) -> u32 {
        self.changes += 1;
        PRESENT + self.changes
    }

    fn numbered(&self, offset: u64, step: u64, vendor: Vendor) -> Option<&Person> {
        if !offset.is_multiple_of(step) {
            return None;
        }
        let person = self.person(usize::try_from(offset / step).ok()?)?;
        person.is_in(vendor).then_some(person)
    }
}

fn range_of<T>(items: &[T], person: usize, owner: impl Fn(&T) -> usize) -> Range<usize> {
    let start = items.partition_point(|item| owner(item) < person);
    let end = items.partition_point(|item| owner(item) <= person);
    start..end
}

/// A marketing contact is its address, so of several people with one address only the first has a contact.
fn index_marketing(people: &mut [Person]) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(people.len());
    for person in people {
        if !person.is_in(Vendor::Marketing) {
            continue;
        }
        let is_address = person.email_in(Vendor::Marketing).contains('@');
        let id = person.marketing_id();
        if !is_address || places.contains_key(&id) {
            person.forget(Vendor::Marketing);
            continue;
        }
        places.insert(id, person.index);
    }
    places
}
