//! The people, and which record each of them has with which vendor.

use std::collections::HashSet;

use md5::{Digest, Md5};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::sandbox::{
    Vendor,
    company::{
        clock::{DAY, PRESENT},
        names::{
            COMPANY_FIRST, COMPANY_SECOND, CULTURES, Culture, LEGAL_FORMS, MAILBOX_PROVIDERS,
            SHARED_MAILBOXES, TOP_LEVEL, USELESS_ADDRESSES,
        },
    },
    random::Random,
};

const STREAM_PERSON: u64 = 1;
const FIRST_CULTURE: &Culture = CULTURES[0];
const STREAM_COMPANY: u64 = 2;

/// The CRM id of Ana Silva, who has a record with every vendor and is the first in every list: 2^53 + 1.
pub const ANA_CRM_ID: u64 = 9_007_199_254_740_993;
/// The e-mail address by which every vendor but the marketplace knows Ana Silva, in lower case.
pub const ANA_EMAIL: &str = "ana.silva@acme-industries.io";
/// Ana Silva's private address, which the CRM and the helpdesk know too.
pub const ANA_PRIVATE_EMAIL: &str = "ana.silva@quickpost.io";
/// Ana Silva's customer number in the ERP.
pub const ANA_ERP_CUSTOMER: &str = "0000104711";
/// Ana Silva's user id in the helpdesk.
pub const ANA_HELPDESK_ID: u64 = 361_000_000_017;
/// Ana Silva's id in the shop.
pub const ANA_SHOP_ID: &str = "gid://shop/Customer/7001000001";

/// What precedes the number in the shop's ids of customers.
pub(crate) const SHOP_CUSTOMER: &str = "gid://shop/Customer/";
/// What precedes the number in the shop's ids of orders.
pub(crate) const SHOP_ORDER: &str = "gid://shop/Order/";

/// A company that people work for.
#[derive(Debug, Clone)]
pub struct Employer {
    /// Its id in the CRM.
    pub id: u64,
    /// Its name with its legal form.
    pub name: String,
    /// Its mail domain.
    pub domain: String,
    /// ISO code of its country.
    pub country: &'static str,
}

/// One human being, whatever the vendors make of her.
#[derive(Debug, Clone)]
pub struct Person {
    /// The place in the list of people.
    pub index: usize,
    /// Given name as she writes it; may be one letter.
    pub given: Box<str>,
    /// Family name as she writes it.
    pub family: Box<str>,
    /// The address at work, as the CRM spells it; may be a shared mailbox, a placeholder or empty.
    pub email: Box<str>,
    /// A second address.
    pub private_email: Option<Box<str>>,
    /// Whether the CRM knows the second address too.
    pub is_private_known: bool,
    /// The address that a marketplace gave the shop; of the other vendors only the helpdesk knows it.
    pub relay_email: Option<Box<str>>,
    /// The number without the calling code and without a leading zero.
    pub phone: Box<str>,
    /// The place of the employer in the list of companies.
    pub employer: usize,
    /// Day of birth in days since 1970, negative before.
    pub born: Option<i32>,
    /// Bits that vary what vendors write about her.
    pub mood: u64,
    /// A bit per vendor that has a record.
    records: u8,
    /// Seconds since 1970, per vendor: when the record was last changed.
    updated: [u32; 5],
    /// The place of the culture in `CULTURES`.
    culture: u8,
}

impl Person {
    /// Whether the vendor has a record of her.
    pub fn is_in(&self, vendor: Vendor) -> bool {
        self.records & (1 << vendor as u8) != 0
    }

    /// When her record at the vendor was last changed, in seconds since 1970.
    pub fn updated(&self, vendor: Vendor) -> u32 {
        let place = vendor as usize;
        self.updated.get(place).copied().unwrap_or(PRESENT)
    }

    /// When her record at the vendor was made; always before the last change.
    pub fn created(&self, vendor: Vendor) -> u32 {
        let years = 1 + ((self.mood >> (vendor as u8 * 3)) % 5);
        let days = u32::try_from(years * 365 + self.mood % 97).unwrap_or(365);
        self.updated(vendor).saturating_sub(days * DAY)
    }

    /// Notes a change of her record.
    pub(crate) fn touch(&mut self, vendor: Vendor, moment: u32) {
        if let Some(updated) = self.updated.get_mut(vendor as usize) {
            *updated = moment;
        }
    }

    /// Takes her record at the vendor away.
    pub(crate) fn forget(&mut self, vendor: Vendor) {
        self.records &= !(1 << vendor as u8);
        if self.records == 0 {
            self.records = 1 << Vendor::Crm as u8;
        }
    }

    /// Her language's names and places.
    pub(crate) fn culture(&self) -> &'static Culture {
        let place = usize::from(self.culture);
        CULTURES.get(place).copied().unwrap_or(FIRST_CULTURE)
    }

    /// A small number that depends on the person and on what it is for.
    pub(crate) fn vary(&self, purpose: u64, bound: u64) -> u64 {
        Random::new(self.mood, purpose, 0).below(bound)
    }

    /// Her id in the CRM.
    pub fn crm_id(&self) -> u64 {
        ANA_CRM_ID + 1_002 * self.index as u64
    }

    /// Her customer number in the ERP, with leading zeros.
    pub fn erp_id(&self) -> String {
        format!("{:010}", 104_711 + 7 * self.index)
    }

    /// Her user id in the helpdesk.
    pub fn helpdesk_id(&self) -> u64 {
        ANA_HELPDESK_ID + 13 * self.index as u64
    }

    /// Her number in the shop, without the prefix of the global id.
    pub fn shop_number(&self) -> u64 {
        7_001_000_001 + 3 * self.index as u64
    }

    /// Her id in the marketing system: the MD5 of the address there.
    pub fn marketing_id(&self) -> String {
        let address = self.email_in(Vendor::Marketing).to_lowercase();
        hex::encode(Md5::digest(address.as_bytes()))
    }

    /// The address that the vendor has for her, spelled as the vendor does; may be useless or empty.
    pub fn email_in(&self, vendor: Vendor) -> String {
        let work = &self.email;
        let private = self.private_email.as_ref().unwrap_or(work);
        match vendor {
            Vendor::Crm | Vendor::Payments | Vendor::Mail | Vendor::Social => work.to_string(),
            Vendor::Erp if self.index != 0 && self.vary(11, 10) == 0 => private.to_uppercase(),
            Vendor::Erp => work.to_uppercase(),
            Vendor::Helpdesk => work.to_lowercase(),
            Vendor::Shop => match &self.relay_email {
                Some(relay) => relay.to_string(),
                None if self.index != 0 && self.vary(12, 10) < 3 => private.to_lowercase(),
                None => work.to_lowercase(),
            },
            Vendor::Marketing if self.index != 0 && self.vary(13, 10) < 2 => private.to_string(),
            Vendor::Marketing => work.to_string(),
        }
    }

    /// The ERP's customer number, when the CRM has noted it.
    pub fn erp_id_in_crm(&self) -> Option<String> {
        let is_noted = self.index == 0 || self.vary(14, 100) < 80;
        (self.is_in(Vendor::Erp) && is_noted).then(|| self.erp_id())
    }

    /// The CRM's contact id, when the helpdesk has noted it.
    pub fn crm_id_in_helpdesk(&self) -> Option<String> {
        let is_noted = self.index == 0 || self.vary(15, 100) < 70;
        (self.is_in(Vendor::Crm) && is_noted).then(|| self.crm_id().to_string())
    }

    /// The phone number in one of the ways in which people write it.
    pub fn phone_in(&self, vendor: Vendor) -> String {
        let code = self.culture().calling_code;
        let number = &self.phone;
        match self.vary(20 + vendor as u64, 7) {
            0 | 1 => format!("+{code}{number}"),
            2 => format!("+{code} (0) {number}"),
            3 => format!("0{number}"),
            4 => format!("00{code} {number}"),
            5 => format!("+{code} {number} ext. {}", 10 + self.mood % 90),
            _ => number.to_string(),
        }
    }
}

/// Makes the companies.
pub(crate) fn make_employers(seed: u64, count: usize) -> Vec<Employer> {
    let mut employers = Vec::with_capacity(count);
    let mut domains = HashSet::new();
    for index in 0..count {
        let mut random = Random::new(seed, STREAM_COMPANY, index as u64);
        let (first, second, top) = match index {
            0 => ("acme", "industries", "io"),
            _ => (
                random.pick(&COMPANY_FIRST),
                random.pick(&COMPANY_SECOND),
                random.pick(&TOP_LEVEL),
            ),
        };
        let mut domain = format!("{first}-{second}.{top}");
        if !domains.insert(domain.clone()) {
            domain = format!("{first}-{second}{index}.{top}");
        }
        let form = random.pick(&LEGAL_FORMS);
        let country = CULTURES.get(usize::from(random.small(14)));
        employers.push(Employer {
            id: 9_107_199_254_740_993 + 2 * index as u64,
            name: format!("{} {} {form}", capitalised(first), capitalised(second)),
            domain,
            country: country.map_or("PT", |culture| culture.country_code),
        });
    }
    employers
}

/// Makes the people; Ana Silva is the first.
pub(crate) fn make_people(seed: u64, count: usize, employers: &[Employer]) -> Vec<Person> {
    let mut people = Vec::with_capacity(count);
    let mut addresses = HashSet::new();
    addresses.insert(ANA_EMAIL.to_owned());
    for index in 0..count {
        let mut person = make_person(seed, index, employers, &mut addresses);
        if index == 0 {
            make_ana(&mut person);
        }
        people.push(person);
    }
    people
}

fn make_ana(person: &mut Person) {
    person.given = "Ana".into();
    person.family = "Silva".into();
    person.email = "Ana.Silva@Acme-Industries.io".into();
    person.private_email = Some(ANA_PRIVATE_EMAIL.into());
    person.is_private_known = true;
    person.relay_email = None;
    person.phone = "912345678".into();
    person.employer = 0;
    person.born = Some(6_940);
    person.records = 0b1_1111;
    person.culture = 0;
}

fn make_person(
    seed: u64,
    index: usize,
    employers: &[Employer],
    addresses: &mut HashSet<String>,
) -> Person {
    let mut random = Random::new(seed, STREAM_PERSON, index as u64);
    let culture_place = random.small(14);
    let culture = CULTURES
        .get(usize::from(culture_place))
        .copied()
        .unwrap_or(FIRST_CULTURE);
    let (given, given_latin) = random.pick(culture.given);
    let (family, family_latin) = random.pick(culture.family);
    let employer_count = employers.len() as u64;
    let employer = usize::try_from(random.below(employer_count)).unwrap_or(0);
    let domain = employers
        .get(employer)
        .map_or("", |one| one.domain.as_str());
    let local = format!(
        "{}.{}",
        latin(given, given_latin),
        latin(family, family_latin)
    );
    let local = free_local_part(&local, domain, addresses);
    let email = match random.below(1000) {
        0..12 => random.pick(&USELESS_ADDRESSES).to_owned(),
        12..42 => format!("{}@{domain}", random.pick(&SHARED_MAILBOXES)),
        42..240 => format!("{}@{}", title_case(&local), title_case(domain)),
        _ => format!("{local}@{domain}"),
    };
    let private_email = random.chance(400).then(|| {
        let provider = random.pick(&MAILBOX_PROVIDERS);
        format!("{}{index}@{provider}", local.replace('.', "")).into()
    });
    let relay_email = random
        .chance(60)
        .then(|| format!("m{index}k{}@relay.bazaar-market.co", random.below(9999)).into());
    let updated = std::array::from_fn(|_| {
        let age = random.below(700 * u64::from(DAY));
        PRESENT - 60 - u32::try_from(age).unwrap_or(0)
    });
    Person {
        index,
        given: given.into(),
        family: family.into(),
        email: email.into(),
        is_private_known: random.chance(700),
        private_email,
        relay_email,
        phone: format!("{}", 20_000_000 + random.below(79_999_999)).into(),
        employer,
        born: random
            .chance(700)
            .then(|| i32::try_from(random.below(18_000)).unwrap_or(0) - 5_000),
        mood: random.next(),
        records: records(&mut random),
        updated,
        culture: culture_place,
    }
}

/// About 35 % have all five records, all but 5 % are in the CRM, and nobody has none.
fn records(random: &mut Random) -> u8 {
    if random.chance(350) {
        return 0b1_1111;
    }
    let bit = |vendor: Vendor| 1 << vendor as u8;
    let mut records = if random.chance(923) {
        bit(Vendor::Crm)
    } else {
        0
    };
    let odds = [
        (Vendor::Erp, 450),
        (Vendor::Helpdesk, 450),
        (Vendor::Shop, 450),
        (Vendor::Marketing, 500),
    ];
    for (vendor, permille) in odds {
        if random.chance(permille) {
            records |= bit(vendor);
        }
    }
    if records == 0 {
        bit(Vendor::Shop)
    } else {
        records
    }
}

fn free_local_part(wanted: &str, domain: &str, addresses: &mut HashSet<String>) -> String {
    let mut local = wanted.to_owned();
    let mut number = 1;
    while !addresses.insert(format!("{local}@{domain}")) {
        number += 1;
        local = format!("{wanted}{number}");
    }
    local
}

/// Writes a name with the letters of a mail address.
pub(crate) fn latin(name: &str, given: &str) -> String {
    if !given.is_empty() {
        return given.to_owned();
    }
    let base = name.nfd().filter(|letter| !is_combining_mark(*letter));
    let base = base.filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-');
    base.collect::<String>().to_ascii_lowercase()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    first.to_uppercase().chain(letters).collect()
}

/// Writes every part between dots and hyphens with a capital.
fn title_case(text: &str) -> String {
    let mut is_start = true;
    let mut titled = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_start {
            titled.extend(letter.to_uppercase());
        } else {
            titled.push(letter);
        }
        is_start = letter == '.' || letter == '-';
    }
    titled
}
