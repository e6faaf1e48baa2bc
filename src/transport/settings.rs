//! How a source is called: the blocks `budget`, `tls` and `price` of a connector file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::config::rate::Rate;
use crate::config::size::Size;
use crate::config::span::Span;
use crate::credential::CredentialSettings;

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
}

/// What may be asked of a vendor, and how long an answer may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetSettings {
    /// How many calls the vendor allows per length of time, as in `700/min`; further calls wait for their turn.
    pub rate: Option<Rate>,
    /// How many calls may run at once, 1 to 1024.
    pub concurrency: u32,
    /// How many calls may wait for a free place before further ones are refused, at most 65536.
    pub queue: u32,
    /// How long one attempt may take in total, from 1ms to 10m.
    pub timeout: Span,
    /// How often a call that may be repeated is tried again, at most 5.
    pub retries: u32,
    /// How large a reply's body may be, compressed and decompressed, from 1B to 256MiB.
    pub body: Size,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            rate: None,
            concurrency: 8,
            queue: 256,
            timeout: Span(Duration::from_secs(4)),
            retries: 2,
            body: Size(8 << 20),
        }
    }
}

impl BudgetSettings {
    /// Every value that is out of its bounds, as one sentence each.
    pub fn problems(&self) -> Vec<&'static str> {
        let timeout = self.timeout.0;
        let rules = [
            (
                (1..=1024).contains(&self.concurrency),
                "`budget.concurrency` must be between 1 and 1024",
            ),
            (self.queue <= 65_536, "`budget.queue` must be at most 65536"),
            (
                timeout >= Duration::from_millis(1) && timeout <= Duration::from_secs(600),
                "`budget.timeout` must be between 1ms and 10m",
            ),
            (self.retries <= 5, "`budget.retries` must be at most 5"),
            (
                (1..=256 << 20).contains(&self.body.0),
                "`budget.body` must be between 1B and 256MiB",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, problem)| problem).collect()
    }
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
}

/// What a vendor charges.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSettings {
    /// What is counted.
    pub per: PriceUnit,
    /// The price of one, as a decimal text.
    #[serde(deserialize_with = "exact_amount")]
    #[schemars(with = "String", regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub amount: Decimal,
    /// The currency, as an ISO 4217 code.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
}

/// What a vendor counts when it charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceUnit {
    /// Every request that is sent, repeated ones included.
    Request,
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
        assert_eq!(budget.rate, Some("700/min".parse().unwrap()));
        assert_eq!(budget.timeout, Span(Duration::from_millis(250)));
        assert_eq!(
            (budget.concurrency, budget.queue, budget.retries),
            (8, 256, 2)
        );
        assert!(budget.problems().is_empty());
    }

    #[test]
    fn every_bound_of_a_budget_is_checked() {
        let text =
            r#"{"concurrency": 0, "queue": 65537, "timeout": "0ms", "retries": 6, "body": "0B"}"#;
        let budget: BudgetSettings = serde_json::from_str(text).unwrap();
        assert_eq!(budget.problems().len(), 5);
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

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<BudgetSettings>(r#"{"rates": "1/s"}"#).is_err());
        assert!(serde_json::from_str::<TlsSettings>(r#"{"ca": "x"}"#).is_err());
    }
}
