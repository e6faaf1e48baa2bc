//! The media types of GraphQL over HTTP: which one an `Accept` asks for, and which request bodies are taken.

use http::{HeaderMap, HeaderValue, header};

use crate::http::stream::encoding::Encoding;

/// A media type that answers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/graphql-response+json`, whose HTTP status says what happened.
    GraphqlResponse,
    /// `application/json`, for older clients.
    Json,
}

impl Media {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }
}

/// What forms of answer a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The form of one answer.
    pub single: Option<Media>,
    /// The form of a stream; it must be asked for by name, since no client expects one behind `*/*`.
    pub stream: Option<Encoding>,
}

impl Wanted {
    /// The form of a refusal, which is one answer always.
    pub fn of_refusal(self) -> Media {
        let of_stream = if self.stream.is_some() {
            Media::GraphqlResponse
        } else {
            Media::Json
        };
        self.single.unwrap_or(of_stream)
    }
}

/// What the request's `Accept` asks for.
pub fn wanted(headers: &HeaderMap) -> Wanted {
    let values: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if values.is_empty() {
        return Wanted {
            single: Some(Media::Json),
            stream: None,
        };
    }
    Wanted {
        single: negotiate(&values),
        stream: stream(&values),
    }
}

/// The form of stream with the greatest weight, and of equal ones the first.
fn stream(values: &[&str]) -> Option<Encoding> {
    let mut best: Option<(Encoding, f32)> = None;
    for text in values.iter().flat_map(|value| value.split(',')) {
        let (name, quality) = range(text);
        let encoding = match &*name {
            "text/event-stream" => Encoding::EventStream,
            "multipart/mixed" if has_subscription_spec(text) => Encoding::Multipart,
            _ => continue,
        };
        if quality > best.map_or(0.0, |(_, quality)| quality) {
            best = Some((encoding, quality));
        }
    }
    best.map(|(encoding, _)| encoding)
}

/// Whether the range names version 1 of Apollo's protocol; `multipart/mixed` alone is what `@defer` comes in.
fn has_subscription_spec(text: &str) -> bool {
    text.split(';')
        .filter_map(|part| part.trim().split_once('='))
        .filter(|(key, _)| key.trim().eq_ignore_ascii_case("subscriptionSpec"))
        .any(|(_, value)| matches!(value.trim().trim_matches('"'), "1" | "1.0"))
}

/// The best media type for one answer; `None` when neither is accepted.
fn negotiate(values: &[&str]) -> Option<Media> {
    let ranges: Vec<(String, f32)> = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(range)
        .collect();
    let json = quality(&ranges, "application/json");
    let response = quality(&ranges, "application/graphql-response+json");
    let named = |name: &str| ranges.iter().position(|(range, _)| range == name);
    if json <= 0.0 && response <= 0.0 {
        return None;
    }
    if response > json {
        return Some(Media::GraphqlResponse);
    }
    // Equal weights: the one named first wins, and a wildcard alone means JSON.
    match (
        named("application/graphql-response+json"),
        named("application/json"),
    ) {
        (Some(first), Some(second)) if response >= json && first < second => {
            Some(Media::GraphqlResponse)
        }
        (Some(_), None) if response >= json => Some(Media::GraphqlResponse),
        _ => Some(Media::Json),
    }
}

/// The weight of the most specific range that covers the type, as RFC 9110 section 12.5.1 says.
fn quality(ranges: &[(String, f32)], media: &str) -> f32 {
    [media, "application/*", "*/*"]
        .iter()
        .find_map(|wanted| ranges.iter().find(|(range, _)| range == wanted))
        .map_or(0.0, |(_, quality)| *quality)
}

fn range(text: &str) -> (String, f32) {
    let mut parts = text.split(';');
    let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let quality = parts
        .filter_map(|part| part.trim().split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("q"))
        .map_or(1.0, |(_, value)| value.trim().parse().unwrap_or(0.0));
    (name, quality)
}

/// Whether the body is declared as JSON in UTF-8, the only type that a browser form cannot send.
pub fn is_json_body(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    else {
        return false;
    };
    let mut parts = text.split(';');
    let name = parts.next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/json")
        && parts
            .filter_map(|part| part.trim().split_once('='))
            .filter(|(key, _)| key.trim().eq_ignore_ascii_case("charset"))
            .all(|(_, value)| value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"))
}
