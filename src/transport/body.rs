//! Reads a reply's body within its bound, before and after decompression.
//!
//! reqwest could decompress by itself, but then the compressed bytes are not counted: a stream that decompresses to
//! nothing would be read until the deadline.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};

use crate::transport::failure::Failure;

/// Collects the body as it was sent, up to the limit.
pub(crate) async fn collect(
    mut response: reqwest::Response,
    limit: usize,
) -> Result<Bytes, Failure> {
    let told = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    if told.is_some_and(|length| length > limit) {
        return Err(Failure::TooLarge { limit });
    }
    let mut body = BytesMut::with_capacity(told.unwrap_or(0).min(64 << 10));
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|cause| Failure::Interrupted(cause.without_url().into()))?;
        let Some(chunk) = chunk else {
            return Ok(body.freeze());
        };
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(Failure::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
}

/// Decompresses the body as its headers say, up to the limit, and removes the headers that no longer hold.
pub(crate) fn decode(headers: &mut HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Failure> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let (coding, further) = (codings.next(), codings.next());
    let Some(coding) = coding else {
        return Ok(body);
    };
    let coding = match further {
        Some(_) => None,
        None => coding
            .to_str()
            .ok()
            .map(|text| text.trim().to_ascii_lowercase()),
    };
    let decoded = match coding.as_deref() {
        Some("identity") => return Ok(body),
        // A reply to HEAD and a 304 describe a body that they don't carry.
        Some(_) if body.is_empty() => body,
        Some("gzip" | "x-gzip") => read(flate2::read::MultiGzDecoder::new(&*body), limit)?,
        Some("br") => read(brotli::Decompressor::new(&*body, 4096), limit)?,
        Some(_) | None => {
            return Err(Failure::Malformed(
                "the body's compression is unknown".into(),
            ));
        }
    };
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    Ok(decoded)
}

fn read(decoder: impl Read, limit: usize) -> Result<Bytes, Failure> {
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoded = Vec::new();
    decoder
        .take(bound)
        .read_to_end(&mut decoded)
        .map_err(|cause| Failure::Malformed(cause.into()))?;
    if decoded.len() > limit {
        return Err(Failure::TooLarge { limit });
    }
    Ok(decoded.into())
}
