//! A WebSocket client that can do what no client library would.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

pub struct Socket {
    pub inner: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Opens a connection without a word of the protocol.
    pub async fn open(address: SocketAddr) -> Self {
        let headers = [("sec-websocket-protocol", "graphql-transport-ws")];
        Self::open_with(address, &headers).await.unwrap()
    }

    pub async fn open_with(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(*name, value);
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (inner, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self { inner })
    }

    /// Opens a connection and waits until the token is accepted.
    pub async fn begin(address: SocketAddr, token: &str) -> Self {
        let mut socket = Self::open(address).await;
        socket.init(token).await;
        assert_eq!(socket.receive().await, json!({"type": "connection_ack"}));
        socket
    }

    pub async fn init(&mut self, token: &str) {
        let payload = json!({"Authorization": format!("Bearer {token}")});
        self.say(json!({"type": "connection_init", "payload": payload}))
            .await;
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        let payload = json!({"query": query});
        self.say(json!({"type": "subscribe", "id": id, "payload": payload}))
            .await;
    }

    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.inner.send(message).await.unwrap();
    }

    /// The next message of the protocol.
    pub async fn receive(&mut self) -> Value {
        loop {
            match self.inner.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Whether the gateway takes the connection; a close is no.
    pub async fn is_acknowledged(&mut self) -> bool {
        match self.inner.next().await {
            Some(Ok(Message::Text(text))) => text.contains("connection_ack"),
            _ => false,
        }
    }

    /// Reads on until the connection is closed, and gives code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.inner.next().await {
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return (code.into(), reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("closed without a frame: {other:?}"),
            }
        }
    }
}
