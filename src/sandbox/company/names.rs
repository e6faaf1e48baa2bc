//! The words that people, places and products are made of.

/// One language's stock of names and places.
#[derive(Debug)]
pub(crate) struct Culture {
    pub(crate) language: &'static str,
    pub(crate) country_code: &'static str,
    pub(crate) country_name: &'static str,
    /// Calling code without the plus.
    pub(crate) calling_code: &'static str,
    /// Place of the currency in `money::CURRENCIES`.
    pub(crate) currency: u8,
    /// As written, and in Latin letters when those cannot be derived by dropping accents.
    pub(crate) given: &'static [(&'static str, &'static str)],
    pub(crate) family: &'static [(&'static str, &'static str)],
    pub(crate) streets: &'static [&'static str],
    /// City and postal code.
    pub(crate) cities: &'static [(&'static str, &'static str)],
}

const PORTUGUESE: Culture = Culture {
    language: "pt",
    country_code: "PT",
    country_name: "Portugal",
    calling_code: "351",
    currency: 0,
    given: &[
        ("Ana", ""),
        ("João", ""),
        ("Inês", ""),
        ("Conceição", ""),
        ("Tiago", ""),
        ("Luísa", ""),
        ("Rui", ""),
        ("Mafalda", ""),
    ],
    family: &[
        ("Silva", ""),
        ("dos Santos", ""),
        ("Gonçalves", ""),
        ("Sá", ""),
        ("Magalhães", ""),
        ("Pereira-Lopes", ""),
        ("Simões", ""),
        ("Brandão", ""),
    ],
    streets: &[
        "Rua Augusta",
        "Avenida da Liberdade",
        "Travessa do Carmo",
        "Rua de São Bento",
    ],
    cities: &[
        ("Lisboa", "1100-053"),
        ("Porto", "4050-014"),
        ("Évora", "7000-810"),
    ],
};
const GERMAN: Culture = Culture {
    language: "de",
    country_code: "DE",
    country_name: "Deutschland",
    calling_code: "49",
    currency: 0,
    given: &[
        ("Jürgen", "juergen"),
        ("Anneliese", ""),
        ("Björn", "bjoern"),
        ("Käthe", "kaethe"),
        ("Hans-Peter", ""),
        ("Friederike", ""),
        ("Uwe", ""),
        ("Sören", "soeren"),
    ],
    family: &[
        ("Müller", "mueller"),
        ("Weiß", "weiss"),
        ("Schäfer", "schaefer"),
        ("von der Heide", ""),
        ("Großmann", "grossmann"),
        ("Meyer-Landrut", ""),
        ("Öztürk", "oeztuerk"),
        ("Vogt", ""),
    ],
    streets: &["Hauptstraße", "Lindenallee", "Am Alten Markt", "Goethestr."],
    cities: &[
        ("München", "80331"),
        ("Köln", "50667"),
        ("Leipzig", "04109"),
    ],
};
const FRENCH: Culture = Culture {
    language: "fr",
    country_code: "FR",
    country_name: "France",
    calling_code: "33",
    currency: 0,
    given: &[
        ("Zoë", ""),
        ("François", ""),
        ("Jean-Luc", ""),
        ("Hélène", ""),
        ("Aurélie", ""),
        ("Benoît", ""),
        ("Maël", ""),
        ("Chloé", ""),
    ],
    family: &[
        ("Lefèvre", ""),
        ("d'Estaing", ""),
        ("L'Hôpital", ""),
        ("Dupont", ""),
        ("Châtelain", ""),
        ("Garçon", ""),
        ("Le Goff", ""),
        ("Béranger", ""),
    ],
    streets: &[
        "rue de l'Église",
        "boulevard Saint-Michel",
        "allée des Tilleuls",
        "place d'Armes",
    ],
    cities: &[
        ("Paris", "75005"),
        ("Besançon", "25000"),
        ("Saint-Étienne", "42000"),
    ],
};
const ENGLISH: Culture = Culture {
    language: "en",
    country_code: "GB",
    country_name: "United Kingdom",
    calling_code: "44",
    currency: 2,
    given: &[
        ("Fiona", ""),
        ("Siobhán", ""),
        ("Oliver", ""),
        ("Mary Jane", ""),
        ("Callum", ""),
        ("Niamh", ""),
        ("A", ""),
        ("Robert", ""),
    ],
    family: &[
        ("O'Brien", ""),
        ("Smith", ""),
        ("MacDonald", ""),
        ("Null", ""),
        ("St. John-Smythe", ""),
        ("D’Arcy", ""),
        ("Ng", ""),
        ("Taylor", ""),
    ],
    streets: &[
        "High Street",
        "Queen's Road",
        "Mill Lane",
        "Station Approach",
    ],
    cities: &[
        ("London", "EC1A 1BB"),
        ("Leeds", "LS1 4AP"),
        ("Bristol", "BS1 5TR"),
    ],
};
const AMERICAN: Culture = Culture {
    language: "en",
    country_code: "US",
    country_name: "United States",
    calling_code: "1",
    currency: 1,
    given: &[
        ("Emma", ""),
        ("LaToya", ""),
        ("Jesús", ""),
        ("Mike", ""),
        ("Renée", ""),
        ("J. R.", "jr"),
        ("Dwayne", ""),
        ("Beth", ""),
    ],
    family: &[
        ("Johnson", ""),
        ("Nguyen", ""),
        ("García", ""),
        ("Washington", ""),
        ("Test", ""),
        ("Miller Jr.", ""),
        ("Núñez", ""),
        ("Kowalski", ""),
    ],
    streets: &[
        "Main St",
        "Elm Avenue",
        "5th Ave",
        "Martin Luther King Jr Blvd",
    ],
    cities: &[
        ("Springfield", "62701"),
        ("Boston", "02108"),
        ("San José", "95113"),
    ],
};
const POLISH: Culture = Culture {
    language: "pl",
    country_code: "PL",
    country_name: "Polska",
    calling_code: "48",
    currency: 0,
    given: &[
        ("Łukasz", "lukasz"),
        ("Zofia", ""),
        ("Małgorzata", "malgorzata"),
        ("Grzegorz", ""),
        ("Kinga", ""),
        ("Michał", "michal"),
    ],
    family: &[
        ("Wójcik", ""),
        ("Kowalczyk", ""),
        ("Dąbrowska", ""),
        ("Święty", ""),
        ("Żak", ""),
        ("Nowak-Gała", "nowak-gala"),
    ],
    streets: &["ul. Długa", "ul. Świętojańska", "al. Jerozolimskie"],
    cities: &[
        ("Warszawa", "00-001"),
        ("Łódź", "90-001"),
        ("Gdańsk", "80-001"),
    ],
};
const NORDIC: Culture = Culture {
    language: "da",
    country_code: "DK",
    country_name: "Danmark",
    calling_code: "45",
    currency: 0,
    given: &[
        ("Søren", "soren"),
        ("Åse", ""),
        ("Bjørk", "bjork"),
        ("Æbbe", "aebbe"),
        ("Mette", ""),
        ("Jens", ""),
    ],
    family: &[
        ("Ørsted", "orsted"),
        ("Nørgaard", "norgaard"),
        ("Hansen", ""),
        ("Þórsdóttir", "thorsdottir"),
        ("Kjær", "kjaer"),
        ("Lund", ""),
    ],
    streets: &["Strøget", "Vestergade", "Ågade"],
    cities: &[("København", "1050"), ("Århus", "8000"), ("Odense", "5000")],
};
const JAPANESE: Culture = Culture {
    language: "ja",
    country_code: "JP",
    country_name: "日本",
    calling_code: "81",
    currency: 3,
    given: &[
        ("太郎", "taro"),
        ("花子", "hanako"),
        ("Kenji", ""),
        ("さくら", "sakura"),
        ("ユウキ", "yuki"),
    ],
    family: &[
        ("山田", "yamada"),
        ("佐藤", "sato"),
        ("Suzuki", ""),
        ("髙橋", "takahashi"),
        ("渡邊", "watanabe"),
    ],
    streets: &["銀座", "Chuo-dori", "本町"],
    cities: &[
        ("東京", "104-0061"),
        ("Ōsaka", "530-0001"),
        ("京都", "600-8001"),
    ],
};
const KUWAITI: Culture = Culture {
    language: "ar",
    country_code: "KW",
    country_name: "الكويت",
    calling_code: "965",
    currency: 4,
    given: &[
        ("Fatima", ""),
        ("عبد الله", "abdullah"),
        ("Noor", ""),
        ("Yusuf", ""),
    ],
    family: &[
        ("Al-Sabah", ""),
        ("الراشد", "alrashid"),
        ("Al Mutairi", ""),
        ("Bin Hamad", ""),
    ],
    streets: &["Gulf Road", "شارع سالم المبارك", "Fahad Al-Salem St."],
    cities: &[
        ("Kuwait City", "13001"),
        ("Salmiya", "22001"),
        ("Hawalli", ""),
    ],
};
const GREEK: Culture = Culture {
    language: "el",
    country_code: "GR",
    country_name: "Ελλάδα",
    calling_code: "30",
    currency: 0,
    given: &[
        ("Ελένη", "eleni"),
        ("Γιώργος", "giorgos"),
        ("Maria", ""),
        ("Níkos", ""),
    ],
    family: &[
        ("Παπαδοπούλου", "papadopoulou"),
        ("Νικολαΐδης", "nikolaidis"),
        ("Économou", ""),
        ("Vasilakis", ""),
    ],
    streets: &["Ερμού", "Leoforos Alexandras", "Σταδίου"],
    cities: &[
        ("Αθήνα", "105 63"),
        ("Thessaloniki", "546 24"),
        ("Πάτρα", "262 21"),
    ],
};

/// Every culture; the first one is Ana Silva's. Repeated ones are more frequent.
pub(crate) const CULTURES: [&Culture; 14] = [
    &PORTUGUESE,
    &GERMAN,
    &FRENCH,
    &ENGLISH,
    &AMERICAN,
    &POLISH,
    &NORDIC,
    &JAPANESE,
    &KUWAITI,
    &GREEK,
    &GERMAN,
    &ENGLISH,
    &FRENCH,
    &AMERICAN,
];

/// First words of company names, as they stand in a domain.
pub(crate) const COMPANY_FIRST: [&str; 24] = [
    "acme",
    "borealis",
    "cobalt",
    "delphi",
    "ember",
    "fjord",
    "granite",
    "helix",
    "indigo",
    "juniper",
    "krona",
    "lumen",
    "meridian",
    "nimbus",
    "orchard",
    "pinnacle",
    "quarry",
    "riverbend",
    "saffron",
    "tundra",
    "umbra",
    "vertex",
    "willow",
    "zephyr",
];
/// Second words of company names.
pub(crate) const COMPANY_SECOND: [&str; 14] = [
    "industries",
    "logistics",
    "foods",
    "robotics",
    "textiles",
    "energy",
    "systems",
    "maritime",
    "health",
    "books",
    "gardens",
    "optics",
    "bikes",
    "audio",
];
/// Legal forms that follow a company's name.
pub(crate) const LEGAL_FORMS: [&str; 7] =
    ["GmbH", "Ltd.", "S.A.", "Inc.", "AG", "& Co. KG", "Lda."];
/// Top-level domains of the companies.
pub(crate) const TOP_LEVEL: [&str; 5] = ["io", "com", "eu", "net", "co"];
/// Providers of private mailboxes, all made up.
pub(crate) const MAILBOX_PROVIDERS: [&str; 5] = [
    "quickpost.io",
    "correio-livre.net",
    "mailhaus.eu",
    "parcelmail.co",
    "boitelibre.net",
];
/// Mailboxes that several people of a company share.
pub(crate) const SHARED_MAILBOXES: [&str; 4] = ["info", "sales", "office", "billing"];
/// What stands in an e-mail field when somebody had to fill it in. An empty text means that the field is empty.
pub(crate) const USELESS_ADDRESSES: [&str; 6] = [
    "n/a",
    "test@test.com",
    "noreply@tributary-sandbox.io",
    "jane.doe@example.com",
    "",
    "unknown",
];

/// A thing that the company sells: SKU, title and price in cents.
pub(crate) type Product = (&'static str, &'static str, i64);
/// The catalogue.
pub(crate) const PRODUCTS: [Product; 20] = [
    ("KB-100", "Mechanical keyboard", 8_990),
    ("MS-220", "Trackball mouse", 4_950),
    ("CB-001", "USB-C cable, 2 m", 1_290),
    ("MN-27Q", "27\" monitor, matte", 32_900),
    ("DK-11", "Docking station", 18_900),
    ("CH-ERG", "Ergonomic chair \"Fjäll\"", 44_500),
    ("LMP-3", "Desk lamp <warm white>", 3_999),
    ("NB-A5", "Notebook A5, dotted", 750),
    ("PEN-12", "Pens & markers, 12 pieces", 1_199),
    ("HS-PRO", "Headset Pro", 12_900),
    ("CAM-4K", "Webcam 4K", 9_900),
    ("SSD-2T", "SSD 2 TB", 15_900),
    ("BAG-L", "Laptop bag, large", 6_490),
    ("STD-1", "Standing desk", 59_900),
    ("MAT-9", "Desk mat, 90 × 40 cm", 2_450),
    ("PWR-65", "Charger 65 W", 3_690),
    ("HUB-7", "USB hub, 7 ports", 4_190),
    ("TEA-02", "Grüner Tee, 250 g", 1_450),
    ("GC-50", "Gift card", 5_000),
    ("SVC-IN", "Installation on site", 14_900),
];
