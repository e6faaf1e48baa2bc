//! Campaigns and who received them.

use crate::sandbox::{
    Vendor,
    company::{
        clock::{DAY, PRESENT},
        people::Person,
    },
    random::Random,
};

const STREAM_CAMPAIGN: u64 = 30;
const STREAM_MEMBERS: u64 = 31;
/// How many campaigns there are.
pub(crate) const CAMPAIGNS: u8 = 40;

/// Campaign types; clients do not know the last one.
pub(crate) const TYPES: [&str; 5] = ["regular", "automation", "sms", "ab_test", "carrier_pigeon"];
/// Campaign statuses.
pub(crate) const STATUSES: [&str; 5] = ["draft", "scheduled", "sending", "sent", "paused"];
/// Membership statuses; clients do not know the last one.
pub(crate) const MEMBER_STATUSES: [&str; 7] = [
    "pending",
    "sent",
    "opened",
    "clicked",
    "bounced",
    "unsubscribed",
    "quarantined",
];
/// Subjects, of which each campaign takes one.
pub(crate) const SUBJECTS: [&str; 8] = [
    "Spring cleaning for your desk",
    "20 % off, this week only 🎉",
    "Ihre Vorteile im Herbst",
    "We’ve updated our terms",
    "Nos nouveautés d'été",
    "Back in stock",
    "",
    "Café & conversas: webinar",
];

/// A campaign.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The place in the list of campaigns.
    pub index: usize,
    /// The place in `TYPES`.
    pub(crate) kind: u8,
    /// The place in `STATUSES`.
    pub(crate) status: u8,
    /// Seconds since 1970.
    pub created: u32,
    /// Seconds since 1970.
    pub updated: u32,
    /// Bits that vary details.
    pub(crate) mood: u64,
}

impl Campaign {
    /// Its id in the marketing system.
    pub fn id(&self) -> String {
        format!("cmp_{:05x}", 0x1_a001 + 17 * self.index)
    }
}

/// That a person is among a campaign's recipients.
#[derive(Debug, Clone, Copy)]
pub struct Membership {
    /// The place in the list of memberships.
    pub index: usize,
    /// The place of the campaign in the list of campaigns.
    pub campaign: u8,
    /// The place in `MEMBER_STATUSES`.
    pub(crate) status: u8,
    /// How often the message was opened.
    pub opens: u8,
    /// How often a link was followed.
    pub clicks: u8,
    /// The place of the person in the list of people.
    pub person: u32,
    /// Seconds since 1970.
    pub sent: u32,
}

/// Makes the campaigns.
pub(crate) fn make_campaigns(seed: u64) -> Vec<Campaign> {
    let mut campaigns = Vec::with_capacity(usize::from(CAMPAIGNS));
    for index in 0..CAMPAIGNS {
        let mut random = Random::new(seed, STREAM_CAMPAIGN, u64::from(index));
        let age = u32::try_from(random.below(500)).unwrap_or(0);
        let created = PRESENT - (40 + age) * DAY;
        let status = match random.below(10) {
            0 => 0,
            1 => 1,
            2 => 2,
            3 => 4,
            _ => 3,
        };
        campaigns.push(Campaign {
            index: usize::from(index),
            kind: match index {
                0 => 0,
                7 => 4,
                _ => random.small(5),
            },
            status: if index == 0 { 3 } else { status },
            created,
            updated: created + u32::try_from(random.below(30 * u64::from(DAY))).unwrap_or(0),
            mood: random.next(),
        });
    }
    campaigns
}

/// Makes the memberships, person by person; a person is in a campaign once at most.
pub(crate) fn make_memberships(
    seed: u64,
    people: &[Person],
    campaigns: &[Campaign],
) -> Vec<Membership> {
    let mut memberships = Vec::with_capacity(people.len() * 4);
    for person in people.iter().filter(|one| one.is_in(Vendor::Marketing)) {
        let mut random = Random::new(seed, STREAM_MEMBERS, person.index as u64);
        let count = match person.index {
            0 => 4,
            _ => random.below(12),
        };
        let start = random.small(CAMPAIGNS);
        for number in 0..count {
            let step = u8::try_from(number * 3).unwrap_or(0);
            let campaign = (start + step) % CAMPAIGNS;
            let created = campaigns
                .get(usize::from(campaign))
                .map_or(PRESENT, |one| one.created);
            let status = random.small(7);
            let opens = if status == 2 || status == 3 {
                1 + random.small(5)
            } else {
                0
            };
            memberships.push(Membership {
                index: memberships.len(),
                campaign,
                status,
                opens,
                clicks: if status == 3 { 1 + random.small(3) } else { 0 },
                person: u32::try_from(person.index).unwrap_or(0),
                sent: created + DAY,
            });
        }
    }
    memberships
}
