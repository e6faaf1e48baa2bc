//! HTTP/1.1 messages as far as both ends of a measurement need them: found by their length, never interpreted further.

use std::hash::{DefaultHasher, Hasher};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Outcome;

/// What a message may take; more than this is a mistake.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Where the parts of the first message in a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The length of the head with its empty line.
    pub head: usize,
    /// The length of the body.
    pub body: usize,
}

/// Finds the first message, when its head is there.
pub fn frame(buffer: &[u8]) -> Option<Frame> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let lines = buffer.get(..head)?.split(|byte| *byte == b'\n');
    let mut body = 0;
    for line in lines {
        if let Some((name, value)) = line.split_at_checked(15)
            && name.eq_ignore_ascii_case(b"content-length:")
        {
            body = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
        }
    }
    Some(Frame { head, body })
}

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Wire {
    /// Takes a connection over.
    pub fn new(stream: TcpStream) -> Outcome<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(64 << 10),
        })
    }

    /// Writes a message.
    pub async fn write(&mut self, message: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(message).await?)
    }

    /// Waits until the buffer has a whole message; nothing when the other end has hung up before.
    pub async fn read(&mut self) -> Outcome<Option<Frame>> {
        let mut found = None;
        loop {
            found = found.or_else(|| frame(&self.buffer));
            if let Some(frame) = found
                && self.buffer.len() >= frame.head + frame.body
            {
                return Ok(Some(frame));
            }
            if self.buffer.len() > MESSAGE_BYTES_MAX {
                return Err("a message is too long".into());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The head of the message that `read` found.
    pub fn head(&self, frame: Frame) -> &[u8] {
        self.buffer.get(..frame.head).unwrap_or_default()
    }

    /// The body of the message that `read` found.
    pub fn body(&self, frame: Frame) -> &[u8] {
        let end = frame.head + frame.body;
        self.buffer.get(frame.head..end).unwrap_or_default()
    }

    /// Makes room for the next message.
    pub fn pass(&mut self, frame: Frame) {
        self.buffer.advance(frame.head + frame.body);
    }
}

/// A request by POST with JSON, ready to be written.
pub fn post(path: &str, token: &str, body: &str) -> Bytes {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Bytes::from(head + body)
}

/// The first line of a head.
pub fn first_line(head: &[u8]) -> &[u8] {
    head.split(|byte| *byte == b'\r').next().unwrap_or_default()
}

/// A number for those bytes, which differs when they differ.
pub fn digest(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write(part);
        hasher.write_usize(part.len());
    }
    hasher.finish()
}
