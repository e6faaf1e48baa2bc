//! A company with eight vendors on loopback ports, for `tributary demo` and for tests.
//!
//! The vendors speak REST, SOAP and GraphQL over real HTTP and share one made-up, untidy set of people. `README.md` beside
//! this file describes their APIs. Nothing of the gateway is used here, so that a mistake there cannot hide here.

pub mod calls;
pub mod company;
mod crm;
mod erp;
pub mod fault;
mod helpdesk;
mod mail;
mod marketing;
mod message;
mod payments;
mod random;
mod serving;
mod shop;
mod social;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::sandbox::{
    calls::{Call, Calls},
    company::Company,
    fault::{Fault, Faults},
    random::Random,
    serving::Shared,
};

/// One of the company's systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    /// Contacts and companies; REST with a bearer token.
    Crm,
    /// Customers and orders; SOAP with HTTP Basic.
    Erp,
    /// Users, tickets and comments; REST with HTTP Basic.
    Helpdesk,
    /// Customers and orders of the web shop; GraphQL with a header.
    Shop,
    /// Contacts, campaigns and memberships; REST with a header.
    Marketing,
    /// Charges for orders of the shop; REST with a bearer key.
    Payments,
    /// E-mail and text messages; REST with a header.
    Mail,
    /// Profiles on social networks; REST with a bearer token.
    Social,
}

impl Vendor {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Crm,
        Self::Erp,
        Self::Helpdesk,
        Self::Shop,
        Self::Marketing,
        Self::Payments,
        Self::Mail,
        Self::Social,
    ];

    /// Those that have records of people; the others know people by the ids that these gave them.
    pub const OF_PEOPLE: [Self; 5] = [
        Self::Crm,
        Self::Erp,
        Self::Helpdesk,
        Self::Shop,
        Self::Marketing,
    ];

    /// The name in lower case: `crm`, `erp`, …
    pub fn key(self) -> &'static str {
        match self {
            Self::Crm => "crm",
            Self::Erp => "erp",
            Self::Helpdesk => "helpdesk",
            Self::Shop => "shop",
            Self::Marketing => "marketing",
            Self::Payments => "payments",
            Self::Mail => "mail",
            Self::Social => "social",
        }
    }
}

/// How the company is made and how its vendors behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same data.
    pub seed: u64,
    /// How many people there are; at least one.
    pub customers: usize,
    /// How long each vendor thinks about a call.
    pub latency: BTreeMap<Vendor, Duration>,
    /// How many calls the helpdesk takes in a minute; no limit when absent.
    pub helpdesk_calls_per_minute: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            customers: 2400,
            latency: BTreeMap::new(),
            helpdesk_calls_per_minute: None,
        }
    }
}

impl Options {
    /// What `tributary demo` runs: an ERP that is slow, and others that are not.
    pub fn demo() -> Self {
        let milliseconds = [
            (Vendor::Crm, 6),
            (Vendor::Erp, 40),
            (Vendor::Helpdesk, 8),
            (Vendor::Shop, 4),
            (Vendor::Marketing, 2),
            (Vendor::Payments, 5),
            (Vendor::Mail, 3),
            (Vendor::Social, 7),
        ];
        let latency = milliseconds.map(|(vendor, time)| (vendor, Duration::from_millis(time)));
        Self {
            latency: BTreeMap::from(latency),
            ..Self::default()
        }
    }
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// No port could be had.
    #[error("binding a loopback port for the sandbox's `{vendor}`")]
    Bind {
        /// For whom.
        vendor: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What clients must show to each vendor; made from the seed.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) crm_token: String,
    pub(crate) erp_user: String,
    pub(crate) erp_password: String,
    pub(crate) helpdesk_user: String,
    pub(crate) helpdesk_token: String,
    pub(crate) shop_token: String,
    pub(crate) marketing_key: String,
    pub(crate) payments_key: String,
    pub(crate) mail_token: String,
    pub(crate) social_token: String,
}

impl Credentials {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 99, 0);
        let mut secret = |prefix: &str| format!("{prefix}{:016x}", random.next());
        Self {
            crm_token: secret("pat-"),
            erp_user: "gateway".to_owned(),
            erp_password: secret("erp:"),
            helpdesk_user: "integration@tributary-sandbox.io".to_owned(),
            helpdesk_token: secret("hd_"),
            shop_token: secret("shpat_"),
            marketing_key: secret("mk-"),
            payments_key: secret("sk_"),
            mail_token: secret("ml-"),
            social_token: secret("sn-"),
        }
    }
}

/// The vendors, serving. They stop when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    ports: BTreeMap<Vendor, u16>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Sandbox {
    /// Makes the data, binds a loopback port for each vendor and spawns the tasks that serve them.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let company = Company::new(options.seed, options.customers);
        let shared = Arc::new(Shared {
            company: Arc::new(RwLock::new(company)),
            credentials: Credentials::new(options.seed),
            calls: Calls::default(),
            faults: Faults::default(),
            window: helpdesk::Window::new(options.helpdesk_calls_per_minute),
            shop: std::sync::OnceLock::new(),
            latency: options.latency,
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut ports = BTreeMap::new();
        for vendor in Vendor::ALL {
            let failed = |source| SandboxError::Bind {
                vendor: vendor.key(),
                source,
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
            ports.insert(vendor, listener.local_addr().map_err(failed)?.port());
            let serving = serving::serve(
                listener,
                vendor,
                Arc::clone(&shared),
                (stop.clone(), tasks.clone()),
            );
            tasks.spawn(serving);
        }
        tasks.close();
        Ok(Self {
            shared,
            ports,
            stop,
            tasks,
        })
    }

    /// The vendor's base URL; of the ERP and the shop, the only URL they have.
    pub fn url(&self, vendor: Vendor) -> String {
        let port = self.ports.get(&vendor).copied().unwrap_or_default();
        let path = match vendor {
            Vendor::Erp => "/soap",
            Vendor::Shop => "/graphql",
            Vendor::Crm
            | Vendor::Helpdesk
            | Vendor::Marketing
            | Vendor::Payments
            | Vendor::Mail
            | Vendor::Social => "",
        };
        format!("http://127.0.0.1:{port}{path}")
    }

    /// The variables that connector files of this company read: `CRM_URL`, `CRM_TOKEN`, …
    pub fn environment(&self) -> BTreeMap<String, String> {
        let known = &self.shared.credentials;
        let pairs = [
            ("CRM_TOKEN", &known.crm_token),
            ("ERP_USER", &known.erp_user),
            ("ERP_PASSWORD", &known.erp_password),
            ("HELPDESK_USER", &known.helpdesk_user),
            ("HELPDESK_TOKEN", &known.helpdesk_token),
            ("SHOP_TOKEN", &known.shop_token),
            ("MARKETING_KEY", &known.marketing_key),
            ("PAYMENTS_KEY", &known.payments_key),
            ("MAIL_TOKEN", &known.mail_token),
            ("SOCIAL_TOKEN", &known.social_token),
        ];
        let mut environment = BTreeMap::new();
        for (name, value) in pairs {
            environment.insert(name.to_owned(), value.clone());
        }
        for vendor in Vendor::ALL {
            let name = format!("{}_URL", vendor.key().to_ascii_uppercase());
            environment.insert(name, self.url(vendor));
        }
        environment
    }

    /// The last few thousand requests since the last reset, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.all()
    }

    /// How often each vendor's operations were called since the last reset.
    pub fn counts(&self) -> BTreeMap<(&'static str, String), u64> {
        self.shared.calls.counts()
    }

    /// Forgets all calls.
    pub fn reset_calls(&self) {
        self.shared.calls.reset();
    }

    /// Sets or lifts the vendor's fault.
    pub fn set_fault(&self, vendor: Vendor, fault: Option<Fault>) {
        self.shared.faults.set(vendor, fault);
    }

    /// A copy of everything that the vendors know.
    pub fn truth(&self) -> Company {
        let company = &self.shared.company;
        company
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the data while the vendors serve it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Company) -> T) -> T {
        let company = &self.shared.company;
        change(&mut company.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops serving and waits until every connection is closed.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
