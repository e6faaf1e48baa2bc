//! TLS on the gateway's own listener, and callers who prove themselves by certificate.

use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Identity};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::certificate::der;
use super::support::folder::Folder;
use super::support::gateway::{CONFIG, Setup};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixture/certificates")
        .join(format!("{name}.pem"))
}

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    _sandbox: std::sync::Arc<tributary::sandbox::Sandbox>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(server: &str) -> Served {
    let auth = CONFIG.trim_start().replace(
        "connectors: []",
        "  roles: { billing: [\"order:read\"] }\n  certificates:\n    - { name: billing, uri: \"spiffe://acme/billing\", roles: [billing] }\nconnectors: []",
    );
    let setup = Setup {
        config: format!("{auth}server:\n{server}"),
        ..Setup::default()
    };
    let (gateway, sandbox) = setup.build().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(gateway.serve(listener, stop.clone()));
    Served {
        address,
        stop,
        _sandbox: sandbox,
    }
}

async fn tls(client_auth: &str) -> Served {
    let name = |name| file(name).display().to_string();
    serve(&format!(
        "  tls: {{ certificate: {}, key: {}, client_ca: {}, client_auth: {client_auth} }}\n",
        name("server"),
        name("server.key"),
        name("ca")
    ))
    .await
}

fn client(identity: Option<&str>) -> reqwest::Client {
    let read = |name: &str| std::fs::read(file(name)).unwrap();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(&read("ca")).unwrap()]);
    let builder = match identity {
        Some(name) => {
            let pem = [read(name), read(&format!("{name}.key"))].concat();
            builder.identity(Identity::from_pem(&pem).unwrap())
        }
        None => builder,
    };
    builder.build().unwrap()
}

async fn viewer(
    client: &reqwest::Client,
    url: &str,
    header: Option<(&str, &str)>,
) -> Result<(u16, Value), reqwest::Error> {
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .body(json!({"query": "{ viewer { subject scopes } }"}).to_string());
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok((status, serde_json::from_str(&answer.text().await?).unwrap()))
}

#[tokio::test]
async fn a_certificate_makes_its_holder_a_caller() {
    let served = tls("optional").await;
    let url = format!("https://localhost:{}/graphql", served.address.port());
    let (status, answer) = viewer(&client(Some("client")), &url, None).await.unwrap();
    assert_eq!(
        (status, &answer["data"]["viewer"]),
        (
            200,
            &json!({"subject": "billing", "scopes": ["order:read"]})
        )
    );
    for (identity, code) in [
        (Some("unmapped"), "CERTIFICATE_UNKNOWN"),
        (None, "UNAUTHENTICATED"),
    ] {
        let (status, answer) = viewer(&client(identity), &url, None).await.unwrap();
        assert_eq!(status, 401, "{answer}");
        assert!(answer.to_string().contains(code), "{answer}");
    }
    let stranger = viewer(&client(Some("stranger")), &url, None).await;
    assert!(
        stranger.is_err(),
        "a certificate of an unknown authority ends the handshake"
    );
    let forged = STANDARD.encode(der("client"));
    let header = format!(":{forged}:");
    let (status, _) = viewer(&client(None), &url, Some(("client-cert", &header)))
        .await
        .unwrap();
    assert_eq!(status, 401, "nobody may forward a certificate here");
}

#[tokio::test]
async fn clients_agree_on_http2_over_tls() {
    let served = tls("optional").await;
    let url = format!("https://localhost:{}/health/live", served.address.port());
    let answer = client(None).get(url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, http::Version::HTTP_2)
    );
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let folder = Folder::new();
    let path = |name: &str| folder.0.join(name);
    std::fs::copy(file("server"), path("server.pem")).unwrap();
    std::fs::copy(file("server.key"), path("key.pem")).unwrap();
    let served = serve(&format!(
        "  tls: {{ certificate: {}, key: {} }}\n",
        path("server.pem").display(),
        path("key.pem").display()
    ))
    .await;
    let url = format!("https://localhost:{}/health/live", served.address.port());
    let before = client(None);
    assert_eq!(before.get(&url).send().await.unwrap().status(), 200);

    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let renewed = params.self_signed(&key).unwrap();
    // The certificate without its key can't be used, and stops nothing.
    std::fs::write(path("server.pem"), renewed.pem()).unwrap();
    std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    let trusted = Certificate::from_pem(renewed.pem().as_bytes()).unwrap();
    let shown = async {
        loop {
            let client = reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([trusted.clone()]);
            let answer = client.build().unwrap().get(&url).send().await;
            if let Ok(answer) = answer {
                return answer.status();
            }
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    let status = tokio::time::timeout(limit, shown).await;
    assert_eq!(status.expect("the renewed certificate must be shown"), 200);
    let standing = before.get(&url).send().await.unwrap();
    assert_eq!(standing.status(), 200, "a connection that stands goes on");
}

#[tokio::test]
async fn who_has_no_certificate_is_turned_away_where_one_is_required() {
    let served = tls("required").await;
    let url = format!("https://localhost:{}/graphql", served.address.port());
    assert!(viewer(&client(None), &url, None).await.is_err());
    let (status, _) = viewer(&client(Some("client")), &url, None).await.unwrap();
    assert_eq!(status, 200);
    let plain = format!("http://{}/graphql", served.address);
    assert!(viewer(&client(None), &plain, None).await.is_err());
}

#[tokio::test]
async fn a_forwarded_certificate_counts_from_declared_proxies_only() {
    let header = format!(":{}:", STANDARD.encode(der("client")));
    for (peers, expected) in [("127.0.0.0/8", 200), ("10.0.0.0/8", 401)] {
        let served = serve(&format!(
            "  forwarded_certificates: {{ peers: [\"{peers}\"] }}\n"
        ))
        .await;
        let url = format!("http://{}/graphql", served.address);
        let plain = reqwest::Client::builder().no_proxy().build().unwrap();
        let (status, answer) = viewer(&plain, &url, Some(("client-cert", &header)))
            .await
            .unwrap();
        assert_eq!(status, expected, "{answer}");
        let (status, _) = viewer(&plain, &url, Some(("client-cert", ":x:")))
            .await
            .unwrap();
        assert_eq!(status, 401);
    }
}
