//! Finds the root part of a multipart/related message (MTOM, SOAP with attachments).

use crate::protocol::error::DecodeError;

/// The most parts that are looked through for the root.
const PARTS_MAX: usize = 256;

/// A Content-Type header, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentType {
    /// `type/subtype` in lower case.
    pub media: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Reads a header value; what cannot be read is left out, as the body decides in the end.
    pub fn parse(value: &str) -> Self {
        let mut pieces = split_quoted(value).into_iter();
        let media = pieces
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let parameters = pieces
            .filter_map(|piece| {
                let (name, value) = piece.split_once('=')?;
                let value = value.trim().trim_matches('"').replace("\\\"", "\"");
                Some((name.trim().to_ascii_lowercase(), value))
            })
            .collect();
        Self { media, parameters }
    }

    /// The parameter of that lower-case name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// One part: its own content type and its bytes.
pub struct Part<'b> {
    /// What the part says that it is.
    pub content_type: ContentType,
    /// The content, not copied.
    pub body: &'b [u8],
}

/// Finds the part that `start` names, else the first (RFC 2387 section 3.2).
pub fn root<'b>(bytes: &'b [u8], content_type: &ContentType) -> Result<Part<'b>, DecodeError> {
    let boundary = content_type
        .parameter("boundary")
        .filter(|boundary| !boundary.is_empty() && boundary.len() <= 70)
        .ok_or(DecodeError::Multipart)?;
    let delimiter = format!("--{boundary}").into_bytes();
    let start = content_type.parameter("start");
    let mut rest = after_delimiter(bytes, &delimiter).ok_or(DecodeError::Multipart)?;
    for _ in 0..PARTS_MAX {
        if rest.starts_with(b"--") {
            break;
        }
        let end = find(rest, &delimiter).ok_or(DecodeError::Multipart)?;
        let (part, following) = rest.split_at_checked(end).ok_or(DecodeError::Multipart)?;
        let (headers, body) = split_part(part).ok_or(DecodeError::Multipart)?;
        let wanted = match start {
            Some(start) => header(&headers, "content-id").is_some_and(|id| id == start),
            None => true,
        };
        if wanted {
            return part_of(&headers, body);
        }
        rest = following
            .strip_prefix(delimiter.as_slice())
            .ok_or(DecodeError::Multipart)?;
    }
    Err(DecodeError::Multipart)
}

fn part_of<'b>(headers: &str, body: &'b [u8]) -> Result<Part<'b>, DecodeError> {
    let encoding = header(headers, "content-transfer-encoding").unwrap_or("binary");
    if !["binary", "8bit", "7bit"]
        .iter()
        .any(|plain| encoding.eq_ignore_ascii_case(plain))
    {
        return Err(DecodeError::Multipart);
    }
    Ok(Part {
        content_type: ContentType::parse(header(headers, "content-type").unwrap_or_default()),
        body,
    })
}

/// The first delimiter stands at the start of a line.
fn after_delimiter<'b>(bytes: &'b [u8], delimiter: &[u8]) -> Option<&'b [u8]> {
    let at = if bytes.starts_with(delimiter) {
        0
    } else {
        find(bytes, &[b"\n", delimiter].concat())? + 1
    };
    bytes.get(at + delimiter.len()..)
}

/// Splits the rest of the delimiter line, the headers and the body without its last line break.
fn split_part(part: &[u8]) -> Option<(String, &[u8])> {
    let line = find(part, b"\n")?;
    let part = part.get(line + 1..)?;
    let (headers, body) = if let Some(body) = part.strip_prefix(b"\r\n") {
        (&[][..], body)
    } else if let Some(at) = find(part, b"\r\n\r\n") {
        (part.get(..at)?, part.get(at + 4..)?)
    } else {
        let at = find(part, b"\n\n")?;
        (part.get(..at)?, part.get(at + 2..)?)
    };
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let body = body.strip_suffix(b"\r").unwrap_or(body);
    Some((String::from_utf8_lossy(headers).replace("\r\n", "\n"), body))
}

fn header<'h>(headers: &'h str, name: &str) -> Option<&'h str> {
    headers.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .trim()
            .eq_ignore_ascii_case(name)
            .then_some(value.trim())
    })
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Splits at semicolons outside of quotes.
fn split_quoted(value: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in value.chars() {
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = character == '\\' && !escaped;
        if character == ';' && !quoted {
            pieces.push(String::new());
        } else if let Some(last) = pieces.last_mut() {
            last.push(character);
        }
    }
    pieces
}
