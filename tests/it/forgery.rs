//! Forged, expired, mis-typed and mis-issued tokens: each is refused with 401 and a code of its own.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use jsonwebtoken::{Algorithm as Alg, DecodingKey, EncodingKey};
use serde_json::{Value, json};
use tributary::auth::key::{Found, KeySet};
use tributary::auth::remote::key_set_client;
use tributary::auth::settings::{Algorithm, AuthSettings};
use tributary::auth::token::Unverified;
use tributary::auth::{Authenticator, challenge};
use tributary::error::Code;

const NOW: i64 = 1_800_000_000;

fn pem(name: &str) -> String {
    let path = format!(
        "{}/tests/fixture/keys/{name}.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

fn authenticator() -> Authenticator {
    let settings: AuthSettings = serde_json::from_value(json!({"issuers": [
        {"issuer": "https://id.test", "audiences": ["graph"], "algorithms": ["RS256"], "types": ["at+jwt"],
         "public_key_pem": pem("rsa.public")},
        {"issuer": "https://other.test", "audiences": ["graph"], "algorithms": ["ES256"], "types": ["at+jwt", "JWT"],
         "public_key_pem": pem("p256.public")},
    ]}))
    .unwrap();
    let clock = Arc::new(|| DateTime::from_timestamp(NOW, 0).unwrap());
    Authenticator::new(settings, &key_set_client().unwrap(), clock).unwrap()
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({"iss": "https://id.test", "aud": "graph", "sub": "ann", "exp": NOW + 60})
}

fn changed(mut whole: Value, name: &str, value: Value) -> Value {
    whole[name] = value;
    whole
}

fn without(mut whole: Value, name: &str) -> Value {
    whole.as_object_mut().unwrap().remove(name);
    whole
}

/// A token of those texts, signed with the first issuer's key.
fn signed_text(header: &str, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = EncodingKey::from_rsa_pem(pem("rsa.private").as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Alg::RS256).unwrap();
    format!("{message}.{signature}")
}

fn signed(header: &Value, claims: &Value) -> String {
    signed_text(&header.to_string(), &claims.to_string())
}

fn signed_by(alg: Alg, key: &EncodingKey, claims: &Value) -> String {
    let mut header = jsonwebtoken::Header::new(alg);
    header.typ = Some("at+jwt".into());
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn table() -> Vec<(&'static str, String, Code)> {
    let good = signed(&header(), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let other_payload = URL_SAFE_NO_PAD.encode(changed(claims(), "sub", json!("eve")).to_string());
    let stranger = EncodingKey::from_rsa_pem(pem("rsa-next.private").as_bytes()).unwrap();
    let public_as_secret = EncodingKey::from_secret(pem("rsa.public").as_bytes());
    let p256 = EncodingKey::from_ec_pem(pem("p256.private").as_bytes()).unwrap();
    let whole = claims().to_string();
    let twice = format!("{{\"sub\":\"root\",{}", &whole[1..]);
    let claim = |name, value| signed(&header(), &changed(claims(), name, value));
    let head_of = |name, value| signed(&changed(header(), name, value), &claims());
    vec![
        ("no token at all", "x".into(), Code::TokenMalformed),
        ("two parts", message.to_owned(), Code::TokenMalformed),
        ("four parts", format!("{good}.x"), Code::TokenMalformed),
        ("too long", "x".repeat(16 * 1024 + 1), Code::TokenMalformed),
        (
            "a header that is no JSON",
            signed_text("{", &whole),
            Code::TokenMalformed,
        ),
        (
            "claims that are no object",
            signed_text(&header().to_string(), "[1]"),
            Code::TokenMalformed,
        ),
        (
            "a claim that is there twice",
            signed_text(&header().to_string(), &twice),
            Code::TokenMalformed,
        ),
        (
            "a header parameter that is there twice",
            signed_text(
                "{\"alg\":\"RS256\",\"alg\":\"RS256\",\"typ\":\"at+jwt\"}",
                &whole,
            ),
            Code::TokenMalformed,
        ),
        (
            "padding in the text",
            format!("{message}=.{signature}"),
            Code::TokenMalformed,
        ),
        (
            "another payload",
            format!("{head}.{other_payload}.{signature}"),
            Code::TokenForged,
        ),
        ("no signature", format!("{message}."), Code::TokenForged),
        (
            "another's key",
            signed_by(Alg::RS256, &stranger, &claims()),
            Code::TokenForged,
        ),
        (
            "alg none",
            format!(
                "{}.{other_payload}.",
                URL_SAFE_NO_PAD.encode("{\"alg\":\"none\",\"typ\":\"at+jwt\"}")
            ),
            Code::TokenAlgorithmRefused,
        ),
        (
            "alg NoNe",
            head_of("alg", json!("NoNe")),
            Code::TokenAlgorithmRefused,
        ),
        (
            "the public key as a shared secret",
            signed_by(Alg::HS256, &public_as_secret, &claims()),
            Code::TokenAlgorithmRefused,
        ),
        (
            "another algorithm of the same key",
            head_of("alg", json!("PS256")),
            Code::TokenAlgorithmRefused,
        ),
        (
            "another issuer's key and algorithm",
            signed_by(Alg::ES256, &p256, &claims()),
            Code::TokenAlgorithmRefused,
        ),
        ("crit", head_of("crit", json!(["exp"])), Code::TokenCritical),
        (
            "crit of null",
            head_of("crit", Value::Null),
            Code::TokenCritical,
        ),
        (
            "an id token's type",
            head_of("typ", json!("JWT")),
            Code::TokenTypeRefused,
        ),
        (
            "no type",
            signed(&without(header(), "typ"), &claims()),
            Code::TokenTypeRefused,
        ),
        (
            "a logout token's type",
            head_of("typ", json!("logout+jwt")),
            Code::TokenTypeRefused,
        ),
        (
            "no issuer",
            signed(&header(), &without(claims(), "iss")),
            Code::TokenIssuerRefused,
        ),
        (
            "an unknown issuer",
            claim("iss", json!("https://evil.test")),
            Code::TokenIssuerRefused,
        ),
        (
            "a list of issuers",
            claim("iss", json!(["https://id.test"])),
            Code::TokenIssuerRefused,
        ),
        (
            "an issuer in other letters",
            claim("iss", json!("https://ID.test")),
            Code::TokenIssuerRefused,
        ),
        (
            "no audience",
            signed(&header(), &without(claims(), "aud")),
            Code::TokenAudienceRefused,
        ),
        (
            "another audience",
            claim("aud", json!("shop")),
            Code::TokenAudienceRefused,
        ),
        (
            "other audiences",
            claim("aud", json!(["shop", 7, null])),
            Code::TokenAudienceRefused,
        ),
        ("expired", claim("exp", json!(NOW - 5)), Code::TokenExpired),
        (
            "no end",
            signed(&header(), &without(claims(), "exp")),
            Code::TokenExpired,
        ),
        (
            "not valid yet",
            claim("nbf", json!(NOW + 6)),
            Code::TokenNotYetValid,
        ),
        (
            "issued in the future",
            claim("iat", json!(NOW + 6)),
            Code::TokenNotYetValid,
        ),
        (
            "an end that is no time",
            claim("exp", json!("2099")),
            Code::InvalidToken,
        ),
        (
            "no subject",
            signed(&header(), &without(claims(), "sub")),
            Code::InvalidToken,
        ),
        (
            "scopes that are no text",
            claim("scope", json!(7)),
            Code::InvalidToken,
        ),
        (
            "roles that are no texts",
            claim("roles", json!([{"x": 1}])),
            Code::InvalidToken,
        ),
        (
            "an unknown API key",
            "trk_0123456789ab_x".into(),
            Code::ApiKeyInvalid,
        ),
    ]
}

#[tokio::test]
async fn each_kind_of_bad_token_is_refused_with_401_and_its_own_code() {
    let authenticator = authenticator();
    let good = format!("Bearer {}", signed(&header(), &claims()));
    authenticator
        .authenticate(Some(good.as_str()))
        .await
        .unwrap();
    let table = table();
    for (what, token, expected) in &table {
        let bearer = format!("Bearer {token}");
        let error = authenticator.authenticate(Some(bearer.as_str())).await;
        let error = error.expect_err(what);
        assert_eq!(error.code, *expected, "{what}: {error}");
        assert_eq!(error.code.http_status(), 401, "{what}");
        let told = challenge(&error);
        assert!(told.contains("error=\"invalid_token\""), "{what}: {told}");
        assert!(!told.contains(token.as_str()), "{what} is repeated");
    }
    eprintln!(
        "{} kinds of bad token, each refused with its code",
        table.len()
    );
}

fn vectors(name: &str) -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let file = format!("shared/data/wycheproof/{name}.json");
    let text = ["..", "../.."]
        .iter()
        .find_map(|up| std::fs::read_to_string(root.join(up).join(&file)).ok());
    if text.is_none() {
        eprintln!("skipped: no Wycheproof vectors beside the repository");
    }
    text.map(|text| serde_json::from_str(&text).unwrap())
}

/// The keys of a group as an issuer would publish them, with shared secrets as settings hold them.
fn verdict(keys: &Value, jws: &str) -> bool {
    let set = if keys.get("keys").is_some() {
        keys.clone()
    } else {
        json!({ "keys": [keys] })
    };
    let Ok(published) = KeySet::from_jwks(set.to_string().as_bytes()) else {
        return false;
    };
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, _, _] = parts[..] else {
        return false;
    };
    // The payload of the vectors is no JSON, so that one of ours takes its place while the parts are read.
    let Ok(token) =
        Unverified::parse(&format!("{header}.e30.AA")).map(|token| (token.kid, token.algorithm))
    else {
        return false;
    };
    let Found::One(key) = published.find(token.0.as_deref(), token.1) else {
        return false;
    };
    check(key, token.1, jws)
}

fn check(key: &DecodingKey, algorithm: Algorithm, jws: &str) -> bool {
    let alg: Alg = format!("{algorithm:?}").parse().unwrap();
    let (message, signature) = jws.rsplit_once('.').unwrap();
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, alg).unwrap_or(false)
}

#[test]
fn every_invalid_vector_of_keys_and_structure_is_refused() {
    let mut counts = [0_usize; 3];
    for file in [
        "json_web_key_test",
        "json_web_crypto_test",
        "json_web_signature_test",
    ] {
        let Some(document) = vectors(file) else {
            return;
        };
        for group in document["testGroups"].as_array().unwrap() {
            let keys = group.get("public").unwrap_or(&group["private"]);
            for test in group["tests"].as_array().unwrap() {
                let jws = test["jws"].as_str().unwrap_or("not in compact form");
                let is_accepted = verdict(keys, jws);
                if test["result"] == "invalid" {
                    assert!(!is_accepted, "{file} {}: {}", test["tcId"], test["comment"]);
                    counts[0] += 1;
                } else if is_accepted {
                    counts[1] += 1;
                } else {
                    // Shared secrets are never taken from a published set, and some algorithms are not offered.
                    counts[2] += 1;
                }
            }
        }
    }
    let [refused, accepted, stricter] = counts;
    eprintln!(
        "wycheproof: {refused} invalid vectors refused, {accepted} valid accepted, {stricter} valid not offered"
    );
    assert!(refused > 400 && accepted > 20);
}
