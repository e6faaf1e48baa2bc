//! Support tickets and what was written in them.

use crate::sandbox::{
    Vendor,
    company::{
        clock::{DAY, PRESENT},
        people::Person,
    },
    random::Random,
};

const STREAM_TICKETS: u64 = 20;

/// A ticket.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    /// The place in the list of tickets.
    pub index: usize,
    /// The place of the requester in the list of people.
    pub person: usize,
    /// Seconds since 1970.
    pub created: u32,
    /// Seconds since 1970.
    pub updated: u32,
    /// The place in `STATUSES`.
    pub status: u8,
    /// The place of its subject and text.
    pub(crate) topic: u8,
    /// How many comments it has; at least one.
    pub comments: u8,
    /// Satisfaction from 0 to 100.
    pub score: Option<u8>,
    /// Bits that vary details.
    pub(crate) mood: u64,
}

impl Ticket {
    /// Its id in the helpdesk.
    pub fn id(&self) -> u64 {
        500_001 + self.index as u64
    }

    /// A comment's id in the helpdesk.
    pub(crate) fn comment_id(&self, number: u8) -> u64 {
        88_000_000_000 + self.id() * 10 + u64::from(number)
    }
}

/// Ticket statuses; clients do not know the last one.
pub(crate) const STATUSES: [&str; 7] = [
    "new",
    "open",
    "pending",
    "hold",
    "solved",
    "closed",
    "escalated",
];

/// A subject and what the requester wrote.
pub(crate) type Topic = (&'static str, &'static str);
/// What people write about.
pub(crate) const TOPICS: [Topic; 8] = [
    (
        "Where is my parcel?",
        "The tracking has said \"in transit\" for six days now.",
    ),
    (
        "Rechnung fehlt",
        "Guten Tag, ich brauche die Rechnung für das Finanzamt. Grüße",
    ),
    (
        "Item arrived broken 😢",
        "One corner is crushed, photos attached. Can I get a replacement?",
    ),
    (
        "Change of address",
        "We moved to a new office & need deliveries there from May.",
    ),
    (
        "Produit non conforme",
        "L'article reçu n'est pas celui de l'annonce <modèle 2024>.",
    ),
    ("", "sent from my phone"),
    (
        "Refund",
        "I cancelled within 14 days, when do I get my money back?",
    ),
    ("返品について", "サイズが合わないので返品したいです。"),
];

/// Makes the tickets, requester by requester.
pub(crate) fn make_tickets(seed: u64, people: &[Person]) -> Vec<Ticket> {
    let mut tickets = Vec::with_capacity(people.len() * 2);
    let requesters = people.iter().filter(|one| one.is_in(Vendor::Helpdesk));
    for person in requesters {
        let mut random = Random::new(seed, STREAM_TICKETS, person.index as u64);
        let count = match person.index {
            0 => 5,
            _ => random.below(7),
        };
        for _ in 0..count {
            let ticket = make_ticket(&mut random, person.index, tickets.len());
            tickets.push(ticket);
        }
    }
    if let Some(first) = tickets.first_mut() {
        first.status = 1;
        first.topic = 0;
    }
    tickets
}

fn make_ticket(random: &mut Random, person: usize, index: usize) -> Ticket {
    let age = u32::try_from(random.below(600 * u64::from(DAY))).unwrap_or(0);
    let created = PRESENT - DAY - age;
    let until = u64::from(PRESENT - created).min(20 * u64::from(DAY));
    let status = match random.below(100) {
        0..3 => 6,
        3..10 => 0,
        10..25 => 1,
        25..32 => 2,
        32..36 => 3,
        36..60 => 4,
        _ => 5,
    };
    let is_rated = status >= 4 && random.chance(400);
    Ticket {
        index,
        person,
        created,
        updated: created + u32::try_from(random.below(until)).unwrap_or(0),
        status,
        topic: random.small(8),
        comments: 1 + random.small(4),
        score: is_rated.then(|| random.small(101)),
        mood: random.next(),
    }
}
