//! What a vendor sent is what a record holds: exactly, or not at all.

use chrono::{DateTime, SecondsFormat, Utc};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use tributary::config::interpolate::Environment;
use tributary::connector::failure::{CallFailure, FailureClass};
use tributary::connector::{Ask, ListPage};
use tributary::record::Record;

use crate::support::connector::{page, source, text};
use crate::support::vendor::{Answer, Vendor};

const FILE: &str = r#"
source: exact
vendor: acme
category: OTHER
protocol: rest
url: ${URL}
zone: UTC
budget: { retries: 0 }
Order:
  id: id
  fields: { total: { amount: amount, currency: { value: EUR } }, orderNumber: text }
  custom:
    whole: { from: whole, type: INTEGER }
    rfc3339: { from: rfc3339, type: DATETIME }
    bare: { from: bare, type: DATETIME }
    naive: { from: naive, type: DATETIME }
    seconds: { from: seconds | epoch_s, type: DATETIME }
    millis: { from: millis | epoch_ms, type: DATETIME }
    odata: { from: odata | odata_date, type: DATETIME }
    mail: { from: mail | rfc2822, type: DATETIME }
    day: { from: day, type: DATE }
  list: { request: GET /orders }
"#;

/// Reads a page of records from these bytes.
fn list(body: Vec<u8>) -> Result<ListPage, CallFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let vendor = Vendor::queue([Answer::json(body)]).await;
        let source = source(FILE, &Environment::of([("URL", vendor.url())]));
        page(&source, "Order", None, &Ask::default()).await
    })
}

fn custom(record: &Record, key: &str) -> Option<String> {
    let found = record.custom.iter().find(|value| &*value.key == key)?;
    found.value.as_text().map(str::to_owned)
}

fn decimals() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?"
}

fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    // From 1902 to 2200, by the millisecond.
    (-2_145_916_800_000_i64..7_258_118_400_000_i64)
        .prop_map(|millis| DateTime::from_timestamp_millis(millis).unwrap())
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn numbers_keep_every_digit(amounts in vec(decimals(), 1..40), wholes in vec(any::<i64>(), 40), ids in vec(any::<u64>(), 40)) {
        let items: Vec<String> = amounts
            .iter()
            .zip(wholes.iter().zip(&ids))
            .enumerate()
            .map(|(at, (amount, (whole, id)))| {
                // As a number and as a text in turn.
                let quote = if at % 2 == 0 { "" } else { "\"" };
                format!(r#"{{"id":{id},"amount":{quote}{amount}{quote},"whole":{quote}{whole}{quote}}}"#)
            })
            .collect();
        let found = list(format!("[{}]", items.join(",")).into_bytes()).unwrap();
        assert_eq!((found.records.len(), found.refused.len()), (amounts.len(), 0));
        for (record, (amount, (whole, id))) in found.records.iter().zip(amounts.iter().zip(wholes.iter().zip(&ids))) {
            assert_eq!(text(record, "total.amount"), *amount);
            assert_eq!(custom(record, "whole"), Some(whole.to_string()));
            assert_eq!(*record.remote_id, *id.to_string());
        }
    }

    #[test]
    fn every_form_of_a_time_is_the_same_moment(times in vec(moments(), 1..30)) {
        let items: Vec<String> = times.iter().map(|time| {
            let (millis, seconds) = (time.timestamp_millis(), time.timestamp());
            format!(
                r#"{{"id":{millis},"rfc3339":"{}","bare":"{}","naive":"{}","seconds":{seconds},"millis":{millis},"odata":"/Date({millis})/","mail":"{}","day":"{}"}}"#,
                time.to_rfc3339_opts(SecondsFormat::Millis, false),
                time.format("%Y-%m-%dT%H:%M:%S%.3f+0000"),
                time.format("%Y-%m-%d %H:%M:%S%.3f"),
                time.to_rfc2822(),
                time.format("%Y-%m-%d"),
            )
        }).collect();
        let found = list(format!("[{}]", items.join(",")).into_bytes()).unwrap();
        assert_eq!(found.refused, []);
        for (record, time) in found.records.iter().zip(&times) {
            for key in ["rfc3339", "bare", "naive", "millis", "odata"] {
                assert_eq!(custom(record, key).map(|found| found.parse::<DateTime<Utc>>().unwrap()), Some(*time), "{key}");
            }
            let whole = DateTime::from_timestamp(time.timestamp(), 0).unwrap();
            for key in ["seconds", "mail"] {
                assert_eq!(custom(record, key), Some(written(whole)), "{key}");
            }
            assert_eq!(custom(record, "day"), Some(time.format("%Y-%m-%d").to_string()));
        }
    }

    #[test]
    fn texts_come_back_as_they_were(texts in vec(any::<String>(), 1..30)) {
        let items: Vec<serde_json::Value> = texts.iter().enumerate()
            .map(|(at, text)| serde_json::json!({ "id": at + 1, "text": text }))
            .collect();
        let found = list(serde_json::to_vec(&items).unwrap()).unwrap();
        for (record, given) in found.records.iter().zip(&texts) {
            assert_eq!(text(record, "orderNumber"), *given);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_a_failure_and_never_mended(before in "[a-z]{0,8}", bad in 0x80_u8..=0xff) {
        let mut body = format!(r#"[{{"id":1,"text":"{before}"#).into_bytes();
        body.push(bad);
        body.extend_from_slice(br#""}]"#);
        assert_eq!(list(body).unwrap_err().class, FailureClass::InvalidResponse);
    }
}

#[test]
fn what_json_leaves_open_is_a_failure_and_never_a_guess() {
    for body in [
        r#"[{"id":1,"text":"\ud800"}]"#,
        r#"[{"id":1,"text":"\udc00\ud800"}]"#,
        r#"[{"id":1,"amount":NaN}]"#,
        r#"[{"id":1}] trailing"#,
    ] {
        let failure = list(body.into()).unwrap_err();
        assert_eq!(failure.class, FailureClass::InvalidResponse, "{body}");
    }
}
