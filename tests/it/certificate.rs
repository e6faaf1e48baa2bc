//! Client certificates: whose names make which caller.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::{Value, json};
use tributary::auth::certificate::read;
use tributary::auth::remote::key_set_client;
use tributary::auth::settings::AuthSettings;
use tributary::auth::{AuthError, Authenticator, Proofs, caller::Caller};
use tributary::error::Code;

pub fn der(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/fixture/certificates/{name}.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

fn authenticator(mapping: Value) -> Authenticator {
    let settings: AuthSettings = serde_json::from_value(json!({
        "roles": {"billing": ["order:read"]},
        "certificates": [mapping],
    }))
    .unwrap();
    let client = key_set_client().unwrap();
    Authenticator::new(settings, &client, Arc::new(Utc::now)).unwrap()
}

async fn ask(mapping: Value, der: &[u8]) -> Result<Arc<Caller>, AuthError> {
    let proofs = Proofs {
        certificate: Some(der),
        ..Proofs::default()
    };
    authenticator(mapping).authenticate(proofs).await
}

#[test]
fn the_names_of_a_certificate_are_read() {
    let names = read(&der("client")).unwrap();
    assert_eq!(names.common, ["billing"]);
    assert_eq!(names.dns, ["billing.acme.test"]);
    assert_eq!(names.uris, ["spiffe://acme/billing"]);
    assert_eq!(names.emails, ["billing@acme.test"]);
    assert_eq!(names.not_after.to_rfc3339(), "2126-10-31T02:42:48+00:00");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let whole = der("client");
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length]), None, "cut at {length}");
    }
    assert_eq!(read(&[0x30; 9000]), None);
    let nested: Vec<u8> = (0..4000_u16)
        .rev()
        .flat_map(|left| {
            let [high, low] = (left * 4).to_be_bytes();
            [0x30, 0x82, high, low]
        })
        .collect();
    assert_eq!(read(&nested), None);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        let _ = read(&changed);
    }
}

#[tokio::test]
async fn every_name_that_a_mapping_gives_must_fit() {
    let fingerprint = read(&der("client")).unwrap().fingerprint;
    let named = |mut mapping: Value| {
        mapping["name"] = json!("billing service");
        mapping["roles"] = json!(["billing"]);
        mapping["claims"] = json!({"partner": "acme"});
        mapping
    };
    for mapping in [
        json!({"common_name": "billing"}),
        json!({"dns": "billing.acme.test"}),
        json!({"uri": "spiffe://acme/billing", "email": "billing@acme.test"}),
        json!({ "fingerprint": fingerprint }),
    ] {
        let caller = ask(named(mapping), &der("client")).await.unwrap();
        assert_eq!(caller.subject, "billing service");
        assert!(caller.scopes.contains("order:read"));
        assert_eq!(caller.claims["partner"], "acme");
    }
    for mapping in [
        json!({"common_name": "Billing"}),
        json!({"uri": "spiffe://acme/billing", "email": "other@acme.test"}),
        json!({"fingerprint": "00"}),
        json!({}),
    ] {
        let error = ask(named(mapping), &der("client")).await.unwrap_err();
        assert_eq!(error.code, Code::CertificateUnknown);
    }
    let mapping = named(json!({"common_name": "billing"}));
    let error = ask(mapping, &der("unmapped")).await.unwrap_err();
    assert_eq!(error.code, Code::CertificateUnknown);
}
