//! Builds request targets and follows next-links such that a value never changes where a call goes.

use ::url::Url;

/// The longest next-link that is followed, in bytes.
pub const LINK_BYTES_MAX: usize = 16 * 1024;

/// A path whose template values have been filled in, one text per segment, not yet encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderedPath {
    /// The segments after the base's own path.
    pub segments: Vec<String>,
    /// Whether the template ends in `/`, which some servers insist on.
    pub trailing_slash: bool,
}

/// Why a target cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The base cannot carry a path.
    #[error("the base URL cannot carry a path")]
    Base,
    /// A segment is empty, which servers merge with its neighbour.
    #[error("path segment {index} is empty")]
    EmptySegment {
        /// Which segment, from 0.
        index: usize,
    },
    /// A segment is `.` or `..`, which servers resolve even when percent-encoded.
    #[error("path segment {index} is a dot segment")]
    DotSegment {
        /// Which segment, from 0.
        index: usize,
    },
}

/// Why a next-link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NextLinkError {
    /// The link cannot be read as a URL.
    #[error("the next-link is not a URL")]
    Invalid,
    /// The link is longer than [`LINK_BYTES_MAX`].
    #[error("the next-link is too long")]
    TooLong,
    /// The link leads to another scheme, host or port, where our credential must not go.
    #[error("the next-link leads to another origin")]
    OtherOrigin,
    /// The link carries a user name or password.
    #[error("the next-link carries user information")]
    UserInfo,
}

/// A rendered header value that would end the header or start another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header value has a control character at byte {at}")]
pub struct HeaderValueError {
    /// Where in the value, in bytes.
    pub at: usize,
}

/// Builds the request's URL under the base.
///
/// Segments, query names and values are percent-encoded but for the unreserved characters of RFC 3986, a space
/// as `%20`. An empty segment and the dot segments are errors and not encoded, because `%2e%2e` is `..` to most
/// servers (and to the URL standard). The base's path and query stay in front, its fragment goes.
pub fn target(
    base: &Url,
    path: &RenderedPath,
    query: &[(String, String)],
) -> Result<Url, TargetError> {
    if base.cannot_be_a_base() {
        return Err(TargetError::Base);
    }
    let mut url = base.clone();
    url.set_fragment(None);
    if !path.segments.is_empty() || path.trailing_slash {
        url.set_path(&join_path(base.path(), path)?);
    }
    if !query.is_empty() {
        url.set_query(Some(&join_query(base.query(), query)));
    }
    Ok(url)
}

/// Resolves a next-link of a reply against the URL it came from, and refuses one that leaves its origin.
pub fn join_next(base: &Url, link: &str) -> Result<Url, NextLinkError> {
    if link.len() > LINK_BYTES_MAX {
        return Err(NextLinkError::TooLong);
    }
    let mut next = base.join(link).map_err(|_| NextLinkError::Invalid)?;
    let same_origin = next.scheme() == base.scheme()
        && next.host().is_some()
        && next.host() == base.host()
        && next.port_or_known_default() == base.port_or_known_default();
    if !same_origin {
        return Err(NextLinkError::OtherOrigin);
    }
    if next.username() != base.username() || next.password() != base.password() {
        return Err(NextLinkError::UserInfo);
    }
    next.set_fragment(None);
    Ok(next)
}

/// Finds the target of `rel=next` in a `Link` header (RFC 8288); several headers are to be joined with commas.
///
/// A link with an `anchor` speaks of another resource and is passed over.
pub fn parse_link_header(value: &str) -> Option<String> {
    let mut rest = value;
    loop {
        let (_, after_open) = rest.split_once('<')?;
        let (link, mut parameters) = after_open.split_once('>')?;
        let mut is_next: Option<bool> = None;
        let mut has_anchor = false;
        loop {
            parameters = parameters.trim_start();
            let Some(after) = parameters.strip_prefix(';') else {
                break;
            };
            let (name, argument, after) = next_parameter(after);
            if name.eq_ignore_ascii_case("rel") && is_next.is_none() {
                is_next = Some(
                    argument
                        .split_ascii_whitespace()
                        .any(|word| word.eq_ignore_ascii_case("next")),
                );
            }
            has_anchor |= name.eq_ignore_ascii_case("anchor");
            parameters = after;
        }
        if is_next == Some(true) && !has_anchor {
            return Some(link.trim().to_owned());
        }
        rest = parameters;
    }
}

/// Refuses a header value with a control character other than the tab; nothing is stripped, so nothing is hidden.
pub fn check_header_value(value: &str) -> Result<(), HeaderValueError> {
    match value
        .bytes()
        .position(|byte| byte.is_ascii_control() && byte != b'\t')
    {
        Some(at) => Err(HeaderValueError { at }),
        None => Ok(()),
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986 section 2.3.
pub fn percent_encode(text: &str) -> String {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or('0');
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(digit(byte >> 4));
            out.push(digit(byte & 0xF));
        }
    }
    out
}

fn join_path(base: &str, path: &RenderedPath) -> Result<String, TargetError> {
    let mut out = base.strip_suffix('/').unwrap_or(base).to_owned();
    for (index, segment) in path.segments.iter().enumerate() {
        if segment.is_empty() {
            return Err(TargetError::EmptySegment { index });
        }
        if segment == "." || segment == ".." {
            return Err(TargetError::DotSegment { index });
        }
        out.push('/');
        out.push_str(&percent_encode(segment));
    }
    if path.trailing_slash {
        out.push('/');
    }
    Ok(out)
}

fn join_query(base: Option<&str>, query: &[(String, String)]) -> String {
    let mut out = base.unwrap_or_default().to_owned();
    for (name, value) in query {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&percent_encode(name));
        out.push('=');
        out.push_str(&percent_encode(value));
    }
    out
}

/// Splits `name=value` or `name="value"` off; answers name, value without quotes, and what follows.
fn next_parameter(text: &str) -> (&str, String, &str) {
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let Some(value) = rest.strip_prefix('=') else {
        return (name.trim(), String::new(), rest);
    };
    let value = value.trim_start();
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find([';', ',']).unwrap_or(value.len());
        let (argument, rest) = value.split_at_checked(end).unwrap_or((value, ""));
        return (name.trim(), argument.trim().to_owned(), rest);
    };
    let mut argument = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => argument.extend(characters.next()),
            other => argument.push(other),
        }
    }
    (name.trim(), argument, characters.as_str())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn base(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn path(segments: &[&str]) -> RenderedPath {
        RenderedPath {
            segments: segments.iter().map(|&segment| segment.to_owned()).collect(),
            trailing_slash: false,
        }
    }

    #[track_caller]
    fn check_target(from: &str, segments: &[&str], query: &[(&str, &str)], expected: &str) {
        let query: Vec<_> = query
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(
            target(&base(from), &path(segments), &query)
                .unwrap()
                .as_str(),
            expected
        );
    }

    #[test]
    fn values_are_encoded_and_the_base_is_kept() {
        check_target(
            "https://v.test/api?k=1",
            &["a b", "../x"],
            &[("page[size]", "1 &=2")],
            "https://v.test/api/a%20b/..%2Fx?k=1&page%5Bsize%5D=1%20%26%3D2",
        );
        check_target("https://v.test/api/", &["x"], &[], "https://v.test/api/x");
        check_target(
            "https://v.test",
            &["%2e%2e", "a?b#c\\d"],
            &[],
            "https://v.test/%252e%252e/a%3Fb%23c%5Cd",
        );
        check_target(
            "https://v.test/api/",
            &[],
            &[("q", "+")],
            "https://v.test/api/?q=%2B",
        );
    }

    #[test]
    fn a_trailing_slash_stays_when_the_template_has_one() {
        let path = RenderedPath {
            segments: vec!["a".into()],
            trailing_slash: true,
        };
        assert_eq!(
            target(&base("https://v.test"), &path, &[])
                .unwrap()
                .as_str(),
            "https://v.test/a/"
        );
    }

    #[test]
    fn dot_and_empty_segments_are_refused() {
        let base = base("https://v.test/api");
        assert_eq!(
            target(&base, &path(&["a", ".."]), &[]),
            Err(TargetError::DotSegment { index: 1 })
        );
        assert_eq!(
            target(&base, &path(&["."]), &[]),
            Err(TargetError::DotSegment { index: 0 })
        );
        assert_eq!(
            target(&base, &path(&["", "a"]), &[]),
            Err(TargetError::EmptySegment { index: 0 })
        );
    }

    #[test]
    fn a_next_link_stays_at_home() {
        let from = base("https://v.test/api/list?page=1");
        assert_eq!(
            join_next(&from, "?page=2").unwrap().as_str(),
            "https://v.test/api/list?page=2"
        );
        assert_eq!(
            join_next(&from, "https://v.test:443/x").unwrap().as_str(),
            "https://v.test/x"
        );
        for link in [
            "https://evil.test/x",
            "//evil.test/x",
            "http://v.test/x",
            "https://v.test:444/x",
            "javascript:1",
            "\\\\evil.test/x",
            "file:///etc/passwd",
        ] {
            assert_eq!(
                join_next(&from, link),
                Err(NextLinkError::OtherOrigin),
                "{link}"
            );
        }
        assert_eq!(
            join_next(&from, "https://u:p@v.test/x"),
            Err(NextLinkError::UserInfo)
        );
        assert_eq!(join_next(&from, "https://[::"), Err(NextLinkError::Invalid));
        assert_eq!(
            join_next(&from, &"a".repeat(LINK_BYTES_MAX + 1)),
            Err(NextLinkError::TooLong)
        );
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(parse_link_header(value).as_deref(), expected, "{value}")
        };
        check(
            "<https://v.test/?p=2>; rel=\"next\", <https://v.test/?p=9>; rel=\"last\"",
            Some("https://v.test/?p=2"),
        );
        check(
            "<a,b;c>; title=\"x, <y>; rel=next\"; rel=prev, <b>; REL=\"first NEXT\"",
            Some("b"),
        );
        check("<a>; rel=prev; rel=next", None);
        check("<a>; rel=next; anchor=\"#x\"", None);
        check("<a>;rel=next", Some("a"));
        check("", None);
        check("<a", None);
        check("garbage;rel=next", None);
    }

    #[test]
    fn a_header_value_cannot_start_another_header() {
        assert_eq!(
            check_header_value("a\r\nX: y"),
            Err(HeaderValueError { at: 1 })
        );
        assert!(check_header_value("a\0").is_err());
        assert!(check_header_value("a\tb é").is_ok());
    }
}
