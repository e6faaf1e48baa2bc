//! How a source is called: the blocks `budget`, `tls` and `price` of a connector file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::config::rate::Rates;
use crate::config::size::Size;
use crate::config::span::Span;
use crate::credential::CredentialSettings;
use crate::record::secret::Secret;
use crate::transport::feedback::FeedbackSettings;

/// All a client needs to know about its source.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The source's name.
    pub source: Arc<str>,
    /// The vendor's address; calls may go to its origin only.
    pub url: Url,
    /// How we prove ourselves.
    pub credential: CredentialSettings,
    /// What may be asked of the vendor.
    pub budget: BudgetSettings,
    /// Private certificates.
    pub tls: TlsSettings,
    /// What a call costs, when it costs.
    pub price: Option<PriceSettings>,
    /// How the credential is read again when its files change.
    pub reread: Option<Reread>,
}

/// How a credential is read again.
#[derive(Clone)]
pub struct Reread {
    /// The files it is made of.
    pub files: Vec<PathBuf>,
    /// Reads it; nothing when it can't be read.
    pub read: Arc<dyn Fn() -> Option<CredentialSettings> + Send + Sync>,
}

impl std::fmt::Debug for Reread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Reread");
        shown.field("files", &self.files).finish_non_exhaustive()
    }
}

impl SourceSettings {
    /// The files whose change is taken in while the gateway runs.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let tls = &self.tls;
        let named = [
            &tls.ca_file,
            &tls.certificate_file,
            &tls.key_file,
            &tls.pkcs12_file,
        ];
        let secrets = self.reread.iter().flat_map(|reread| reread.files.iter());
        secrets
            .chain(named.into_iter().flatten())
            .cloned()
            .collect()
    }

    /// Whether neither the vendor nor its token endpoint is reached by https.
    pub(crate) fn needs_no_tls(&self) -> bool {
        let is_plain = |url: &str| {
            let scheme = url.split(':').next();
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"))
        };
        self.url.scheme() == "http" && self.credential.token_url().is_none_or(is_plain)
    }
}

/// What may be asked of a vendor, and how long an answer may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetSettings {
    /// How many calls the vendor allows per length of time, as in `700/min` or `[10/s, 500/min]`, at most 8; further calls
    /// wait for their turn. In no span of that length do more calls reach the vendor, however it cuts its own.
    pub rate: Rates,
    /// How many calls the vendor allows in a day.
    pub quota: Option<QuotaSettings>,
    /// How many calls may run at once, 1 to 1024.
    pub concurrency: u32,
    /// How many calls may wait before further ones are refused, at most 65536. Nobody waits past the deadline of the request,
    /// and whoever would is refused at once. Calls that refresh the cache let those pass that somebody waits for; one of ten
    /// is theirs.
    pub queue: u32,
    /// How long a connection may take to come about, from 1ms to 1m.
    pub connect: Span,
    /// How long the vendor may take to begin its answer, from 1ms to 10m; `timeout` when absent.
    pub first_byte: Option<Span>,
    /// How long one attempt may take in total, from 1ms to 10m.
    pub timeout: Span,
    /// How often a call that may be repeated is tried again, at most 5.
    pub retries: u32,
    /// How large a reply's body may be, compressed and decompressed, from 1B to 256MiB.
    pub body: Size,
    /// How the vendor tells of its limits, at most 8 ways; `Retry-After` and the status 429 are understood always.
    pub feedback: Vec<FeedbackSettings>,
    /// The operations that have budgets of their own, by `Entity.operation`; written in the operations themselves.
    #[serde(skip)]
    pub operations: BTreeMap<String, OperationBudgetSettings>,
}

/// How many calls a vendor allows in a day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaSettings {
    /// The number of calls.
    pub calls: u64,
    /// The IANA time zone in which the vendor's day begins.
    #[serde(default = "QuotaSettings::zone")]
    pub zone: String,
}

impl QuotaSettings {
    fn zone() -> String {
        "UTC".to_owned()
    }
}

/// What one operation may ask of a vendor; the budget of the file holds as well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OperationBudgetSettings {
    /// How many calls of this operation the vendor allows per length of time, as in `10/min`, at most 8 rates.
    pub rate: Rates,
    /// How long one attempt may take in total, from 1ms to 10m; that of the file when absent.
    pub timeout: Option<Span>,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            rate: Rates::default(),
            quota: None,
            concurrency: 8,
            queue: 256,
            connect: Span(Duration::from_secs(1)),
            first_byte: None,
            timeout: Span(Duration::from_secs(4)),
            retries: 2,
            body: Size(8 << 20),
            feedback: Vec::new(),
            operations: BTreeMap::new(),
        }
    }
}

impl BudgetSettings {
    /// Every value that is out of its bounds, as one sentence each.
    pub fn problems(&self) -> Vec<&'static str> {
        let is_zone = |quota: &QuotaSettings| quota.zone.parse::<chrono_tz::Tz>().is_ok();
        let rules = [
            (
                self.rate.0.len() <= LIST_MAX,
                "`budget.rate` must have at most 8 rates",
            ),
            (
                self.quota.as_ref().is_none_or(|quota| quota.calls > 0),
                "`budget.quota.calls` must be above zero",
            ),
            (
                self.quota.as_ref().is_none_or(is_zone),
                "`budget.quota.zone` must be an IANA time zone",
            ),
            (
                (1..=1024).contains(&self.concurrency),
                "`budget.concurrency` must be between 1 and 1024",
            ),
            (self.queue <= 65_536, "`budget.queue` must be at most 65536"),
            (
                is_within(self.connect, 60),
                "`budget.connect` must be between 1ms and 1m",
            ),
            (
                self.first_byte.is_none_or(|span| is_within(span, 600)),
                "`budget.first_byte` must be between 1ms and 10m",
            ),
            (
                is_within(self.timeout, 600),
                "`budget.timeout` must be between 1ms and 10m",
            ),
            (self.retries <= 5, "`budget.retries` must be at most 5"),
            (
                (1..=256 << 20).contains(&self.body.0),
                "`budget.body` must be between 1B and 256MiB",
            ),
            (
                self.feedback.len() <= LIST_MAX,
                "`budget.feedback` must have at most 8 entries",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        let mut problems: Vec<_> = broken.map(|(_, problem)| problem).collect();
        problems.extend(self.feedback.iter().filter_map(FeedbackSettings::problem));
        let operations = self.operations.values();
        problems.extend(operations.flat_map(OperationBudgetSettings::problems));
        problems
    }

    /// How long one attempt of an operation may take.
    pub(crate) fn timeout_of(&self, operation: &str) -> Duration {
        let own = self.operations.get(operation).and_then(|own| own.timeout);
        own.unwrap_or(self.timeout).0
    }
}

impl OperationBudgetSettings {
    /// Every value that is out of its bounds, as one sentence each.
    pub fn problems(&self) -> Vec<&'static str> {
        let rules = [
            (
                self.rate.0.len() <= LIST_MAX,
                "`budget.rate` must have at most 8 rates",
            ),
            (
                self.timeout.is_none_or(|span| is_within(span, 600)),
                "`budget.timeout` must be between 1ms and 10m",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, problem)| problem).collect()
    }
}

/// How many entries a list of a budget may have.
const LIST_MAX: usize = 8;

/// Whether a length of time is between a millisecond and so many seconds.
fn is_within(span: Span, seconds_max: u64) -> bool {
    span.0 >= Duration::from_millis(1) && span.0 <= Duration::from_secs(seconds_max)
}

/// Private certificates; without any, the machine's own list of authorities decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// A PEM file of the authorities to trust instead of the machine's own list.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with our certificate, and those between it and its authority.
    pub certificate_file: Option<PathBuf>,
    /// A PEM file with the private key of our certificate.
    pub key_file: Option<PathBuf>,
    /// A PKCS#12 file with our certificate and its private key, in place of the two PEM files.
    pub pkcs12_file: Option<PathBuf>,
    /// The password of the PKCS#12 file.
    pub pkcs12_password: Secret,
}

/// What a vendor charges. A call costs its units times the amount; what is sent again costs again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSettings {
    /// What is counted.
    pub per: PriceUnit,
    /// The price of one, as a decimal text; with `per: quota_share` that of the whole quota.
    #[serde(deserialize_with = "exact_amount")]
    #[schemars(with = "String", regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub amount: Decimal,
    /// The currency, as an ISO 4217 code.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
    /// With `per: point`, the path of the points in the JSON body, as `extensions.cost.actualQueryCost`.
    pub path: Option<String>,
    /// With `per: quota_share`, how many calls the quota has that is paid for.
    pub quota: Option<u64>,
}

/// What a vendor counts when it charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceUnit {
    /// Every request that is sent, repeated ones included.
    Request,
    /// Every record that a reply brings.
    Resource,
    /// Every cost point that a reply tells.
    Point,
    /// Every request inside a request, such as each key of a batch.
    InnerRequest,
    /// Every request, as its share of a quota that is paid for as a whole.
    QuotaShare,
}

impl PriceUnit {
    /// The name in files and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Resource => "resource",
            Self::Point => "point",
            Self::InnerRequest => "inner_request",
            Self::QuotaShare => "quota_share",
        }
    }
}

impl PriceSettings {
    /// What is wrong with it, as one sentence.
    pub fn problem(&self) -> Option<&'static str> {
        let is_path = |path: &str| path.split('.').all(|name| !name.is_empty());
        match (self.per, &self.path, self.quota) {
            (PriceUnit::Point, Some(path), None) if is_path(path) => None,
            (PriceUnit::Point, _, None) => {
                Some("`price.path` must say where a reply tells its points")
            }
            (PriceUnit::QuotaShare, None, Some(quota)) if quota > 0 => None,
            (PriceUnit::QuotaShare, None, _) => {
                Some("`price.quota` must say how many calls are paid for")
            }
            (_, Some(_), _) => Some("`price.path` is for `per: point`"),
            (_, _, Some(_)) => Some("`price.quota` is for `per: quota_share`"),
            (_, None, None) => None,
        }
    }

    /// What one unit costs.
    pub(crate) fn of_one(&self) -> Decimal {
        match (self.per, self.quota) {
            (PriceUnit::QuotaShare, Some(quota)) => self
                .amount
                .checked_div(Decimal::from(quota))
                .unwrap_or(Decimal::ZERO),
            (_, _) => self.amount,
        }
    }
}

/// Reads the amount from text, so that it never passes through a float.
fn exact_amount<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Decimal::from_str_exact(&text) {
        Ok(amount) if !amount.is_sign_negative() => Ok(amount),
        Ok(_) | Err(_) => Err(serde::de::Error::custom(format!(
            "`{text}` is not an amount, write digits with a point, as in `0.0002`"
        ))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_budget_reads_its_units_and_keeps_the_other_defaults() {
        let text = r#"{"rate": "700/min", "timeout": "250ms", "body": "1MiB"}"#;
        let budget: BudgetSettings = serde_json::from_str(text).unwrap();
        assert_eq!(budget.rate.0, ["700/min".parse().unwrap()]);
        assert_eq!(budget.timeout, Span(Duration::from_millis(250)));
        assert_eq!(
            (budget.concurrency, budget.queue, budget.retries),
            (8, 256, 2)
        );
        assert!(budget.problems().is_empty());
    }

    #[test]
    fn every_bound_of_a_budget_is_checked() {
        let text = r#"{"concurrency": 0, "queue": 65537, "timeout": "0ms", "retries": 6, "body": "0B",
            "connect": "2m", "first_byte": "0ms", "quota": {"calls": 0, "zone": "Mars/Olympus"},
            "rate": ["1/s", "1/s", "1/s", "1/s", "1/s", "1/s", "1/s", "1/s", "1/s"],
            "feedback": [{"kind": "ratio", "header": "a b"}]}"#;
        let mut budget: BudgetSettings = serde_json::from_str(text).unwrap();
        assert_eq!(budget.problems().len(), 11);
        let own = OperationBudgetSettings {
            timeout: Some(Span(Duration::ZERO)),
            ..OperationBudgetSettings::default()
        };
        budget.operations.insert("Ticket.get".into(), own);
        assert_eq!(budget.problems().len(), 12);
    }

    #[test]
    fn a_price_is_exact_and_never_negative() {
        let price = |amount: &str| {
            let text = format!(r#"{{"per": "request", "amount": {amount}, "currency": "USD"}}"#);
            serde_json::from_str::<PriceSettings>(&text)
        };
        assert_eq!(price(r#""0.0002""#).unwrap().amount.to_string(), "0.0002");
        assert!(price("0.0002").is_err());
        assert!(price(r#""-1""#).is_err());
        assert!(price(r#""much""#).is_err());
    }

    #[track_caller]
    fn check_price(more: &str, works: bool) {
        let text = format!(r#"{{"amount": "30", "currency": "USD", {more}}}"#);
        let price: PriceSettings = serde_json::from_str(&text).unwrap();
        assert_eq!(price.problem().is_none(), works, "{more}");
    }

    #[test]
    fn a_price_says_what_its_unit_needs_and_no_more() {
        check_price(r#""per": "resource""#, true);
        check_price(r#""per": "resource", "path": "a""#, false);
        check_price(r#""per": "inner_request", "quota": 1"#, false);
        check_price(r#""per": "point", "path": "a.b""#, true);
        check_price(r#""per": "point""#, false);
        check_price(r#""per": "point", "path": "a..b""#, false);
        check_price(r#""per": "quota_share", "quota": 15000"#, true);
        check_price(r#""per": "quota_share", "quota": 0"#, false);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<BudgetSettings>(r#"{"rates": "1/s"}"#).is_err());
        assert!(serde_json::from_str::<TlsSettings>(r#"{"ca": "x"}"#).is_err());
    }
}
