//! A cached value with its times, and its form in Redis.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::cache::{
    key::Key,
    value::{CodecError, Stored},
};

/// Version of the encoded form; another version is a miss, so that releases can run side by side.
const VERSION: u8 = 1;
const FLAG_LZ4: u8 = 1;
/// Version, flags, three times of eight bytes.
const HEADER_BYTES: usize = 26;
/// Payloads above this size are compressed.
const COMPRESS_ABOVE_BYTES: usize = 1024;
/// No payload may be larger than this once decompressed, so that a forged size cannot exhaust the memory.
const PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// No lifetime part is longer than this (a year), so that adding it to a time cannot overflow.
const LIFETIME_SECONDS_MAX: u64 = 366 * 24 * 3600;

/// How long a value may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// How long it is served without asking again.
    pub fresh: Duration,
    /// How much longer it may be served while it is refreshed or the vendor fails.
    pub stale: Duration,
}

/// Whether a cached value is within its fresh time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is served as it is.
    Fresh,
    /// It is served while it is refreshed, or because the vendor fails.
    Stale,
}

/// A cached value and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<V> {
    /// The value.
    pub value: V,
    /// When the vendor gave it.
    pub fetched_at: DateTime<Utc>,
    /// When it stops being fresh.
    pub expires_at: DateTime<Utc>,
    /// When it must not be served any more.
    pub stale_until: DateTime<Utc>,
}

impl<V> Entry<V> {
    /// Gives a value its times. The fresh time is cut by up to a tenth, by key, so that what was fetched together does
    /// not expire together; it is never lengthened.
    pub fn new(key: &Key, value: V, lifetime: Lifetime, now: DateTime<Utc>) -> Self {
        let fresh = seconds_bounded(lifetime.fresh);
        let stale = seconds_bounded(lifetime.stale);
        let cut = fresh.mul_f64(0.1 * spread(key, now));
        Self {
            value,
            fetched_at: now,
            expires_at: later(now, fresh.saturating_sub(cut)),
            stale_until: later(now, fresh.saturating_add(stale)),
        }
    }

    /// Whether the entry is fresh or stale at that time; nothing when it must not be served.
    pub fn state(&self, now: DateTime<Utc>) -> Option<State> {
        if now < self.expires_at {
            Some(State::Fresh)
        } else if now < self.stale_until {
            Some(State::Stale)
        } else {
            None
        }
    }

    /// How long from that time the entry may still be served.
    pub fn remaining(&self, now: DateTime<Utc>) -> Duration {
        (self.stale_until - now).to_std().unwrap_or_default()
    }

    /// How long Redis keeps the entry: what remains, spread by a tenth to either side.
    pub(crate) fn redis_ttl(&self, key: &Key, now: DateTime<Utc>) -> Duration {
        let factor = 0.9 + 0.2 * spread(key, self.fetched_at);
        self.remaining(now)
            .mul_f64(factor)
            .max(Duration::from_millis(1))
    }
}

impl<V: Stored> Entry<V> {
    /// The form kept in Redis: version, flags, times, payload.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let payload = self.value.encode()?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(CodecError::TooLarge);
        }
        let (flags, payload) = if payload.len() > COMPRESS_ABOVE_BYTES {
            (FLAG_LZ4, lz4_flex::block::compress_prepend_size(&payload))
        } else {
            (0, payload)
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.push(VERSION);
        bytes.push(flags);
        for time in [self.fetched_at, self.expires_at, self.stale_until] {
            bytes.extend_from_slice(&time.timestamp_millis().to_le_bytes());
        }
        bytes.extend_from_slice(&payload);
        Ok(bytes)
    }

    /// Reads the form kept in Redis.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (&[version, flags], rest) = bytes.split_first_chunk().ok_or(CodecError::Damaged)?;
        if version != VERSION || flags & !FLAG_LZ4 != 0 {
            return Err(CodecError::Version);
        }
        let (fetched_at, rest) = take_time(rest)?;
        let (expires_at, rest) = take_time(rest)?;
        let (stale_until, payload) = take_time(rest)?;
        let value = if flags & FLAG_LZ4 == 0 {
            V::decode(payload)?
        } else {
            V::decode(&decompress(payload)?)?
        };
        Ok(Self {
            value,
            fetched_at,
            expires_at,
            stale_until,
        })
    }
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let (size, block) =
        lz4_flex::block::uncompressed_size(bytes).map_err(|_unreadable| CodecError::Damaged)?;
    if size > PAYLOAD_BYTES_MAX {
        return Err(CodecError::TooLarge);
    }
    let payload =
        lz4_flex::block::decompress(block, size).map_err(|_unreadable| CodecError::Damaged)?;
    if payload.len() == size {
        Ok(payload)
    } else {
        Err(CodecError::Damaged)
    }
}

fn take_time(bytes: &[u8]) -> Result<(DateTime<Utc>, &[u8]), CodecError> {
    let (time, rest) = bytes.split_first_chunk().ok_or(CodecError::Damaged)?;
    let time = DateTime::from_timestamp_millis(i64::from_le_bytes(*time));
    Ok((time.ok_or(CodecError::Damaged)?, rest))
}

fn seconds_bounded(duration: Duration) -> Duration {
    duration.min(Duration::from_secs(LIFETIME_SECONDS_MAX))
}

fn later(now: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by)
        .ok()
        .and_then(|by| now.checked_add_signed(by))
        .unwrap_or(now)
}

/// A number from 0 to 1 that key and time determine: jitter needs no randomness, only that keys differ.
fn spread(key: &Key, time: DateTime<Utc>) -> f64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    time.timestamp_millis().hash(&mut hasher);
    let [high, low, ..] = hasher.finish().to_be_bytes();
    f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
}
