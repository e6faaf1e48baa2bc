//! Where a page starts, and where the next one does.

use http::HeaderMap;
use sha2::{Digest, Sha256};
use url::Url;

use crate::connector::failure::CallFailure;
use crate::connector::language::expression::{Expression, Scope};
use crate::connector::operation::{PageKind, PagePlan};
use crate::protocol::json;
use crate::protocol::tree::Tree;
use crate::protocol::url::{LINK_BYTES_MAX, join_next, parse_link_header};

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// At the beginning.
    Start { offset: u64, number: u64 },
    /// After a cursor.
    Cursor(String),
    /// At an address.
    Link(Url),
    /// After that many items; with the digest of the page before.
    Offset { offset: u64, before: u64 },
    /// At the page of that number; with the digest of the page before.
    Number { number: u64, before: u64 },
}

/// What comes after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another page.
    Page(Position),
    /// Nothing.
    Last,
    /// The same page again, so that what follows can't be reached.
    Circle,
}

/// What is known of a page that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) url: &'a Url,
    /// The items of the page.
    pub(crate) items: &'a [Tree],
    /// How many it could have had.
    pub(crate) size: usize,
}

impl Position {
    /// Where an operation starts.
    pub(crate) fn start(page: Option<&PagePlan>) -> Self {
        Self::Start {
            offset: 0,
            number: page.map_or(1, |page| page.first),
        }
    }

    /// The position as a text that callers may hold on to.
    pub(crate) fn token(&self) -> Option<String> {
        match self {
            Self::Start { .. } => None,
            Self::Cursor(cursor) => Some(format!("c:{cursor}")),
            Self::Offset { offset, before } => Some(format!("o:{offset}:{before:x}")),
            Self::Number { number, before } => Some(format!("n:{number}:{before:x}")),
            // Only path and query: the origin is the source's own, whatever a token says.
            Self::Link(url) => Some(match url.query() {
                Some(query) => format!("l:{}?{query}", url.path()),
                None => format!("l:{}", url.path()),
            }),
        }
    }

    /// Reads a token. Tokens pass through callers' hands, so they can name nothing but a place in the same list: of the
    /// kind that the operation pages by, and for addresses at or below the operation's own path.
    pub(crate) fn read(token: &str, page: Option<&PagePlan>, own: &Url) -> Option<Self> {
        if token.len() > LINK_BYTES_MAX {
            return None;
        }
        let (kind, rest) = token.split_once(':')?;
        match (&page?.kind, kind) {
            (PageKind::Cursor { .. }, "c") if !rest.is_empty() => Some(Self::Cursor(rest.into())),
            (PageKind::Offset(_), "o") => {
                let (offset, before) = counted(rest)?;
                Some(Self::Offset { offset, before })
            }
            (PageKind::Number(_), "n") => {
                let (number, before) = counted(rest)?;
                Some(Self::Number { number, before })
            }
            (PageKind::Link(_) | PageKind::LinkHeader, "l") => {
                if !rest.starts_with('/') || rest.starts_with("//") {
                    return None;
                }
                let url = join_next(own, rest).ok()?;
                is_below(&url, own).then_some(Self::Link(url))
            }
            _ => None,
        }
    }
}

/// A count, and the digest of the page before it; 0 for none.
fn counted(text: &str) -> Option<(u64, u64)> {
    let (count, before) = text.split_once(':').unwrap_or((text, "0"));
    Some((count.parse().ok()?, u64::from_str_radix(before, 16).ok()?))
}

/// Tells pages apart that are asked for by number: by their first and last item and their length.
fn digest(items: &[Tree]) -> u64 {
    let mut hash = Sha256::new();
    hash.update((items.len() as u64).to_be_bytes());
    for item in items.first().into_iter().chain(items.last()) {
        hash.update(json::encode(item));
    }
    let bytes = hash.finalize();
    let first = bytes.iter().take(8);
    // Never 0, which stands for no page.
    first.fold(0_u64, |all, byte| (all << 8) | u64::from(*byte)) | 1
}

/// Whether an address is that of a list or below it.
pub(crate) fn is_below(url: &Url, own: &Url) -> bool {
    let path = own.path().trim_end_matches('/');
    url.path()
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Position {
    /// Whether a page is the one before it again, as vendors answer that repeat the last page for ever.
    pub(crate) fn is_repeated_by(&self, items: &[Tree]) -> bool {
        match self {
            Self::Offset { before, .. } | Self::Number { before, .. } => {
                *before != 0 && !items.is_empty() && *before == digest(items)
            }
            Self::Start { .. } | Self::Cursor(_) | Self::Link(_) => false,
        }
    }
}

impl PagePlan {
    /// Where the next page starts.
    pub(crate) fn next(&self, position: &Position, seen: Seen<'_>) -> Result<Next, CallFailure> {
        if let Some(more) = &self.more
            && !value(more, seen.scope)?.is_some_and(|value| is_true(&value))
        {
            return Ok(Next::Last);
        }
        let before = || digest(seen.items);
        let next = match &self.kind {
            PageKind::Cursor { from, .. } => text(from, seen.scope)?.map(Position::Cursor),
            PageKind::Link(from) => text(from, seen.scope)?
                .map(|link| follow(seen.url, &link))
                .transpose()?,
            PageKind::LinkHeader => linked(seen.headers)
                .map(|link| follow(seen.url, &link))
                .transpose()?,
            PageKind::Offset(_) => {
                let offset = match position {
                    Position::Offset { offset, .. } | Position::Start { offset, .. } => *offset,
                    _ => 0,
                };
                let count = u64::try_from(seen.items.len()).unwrap_or(u64::MAX);
                let offset = offset.saturating_add(count);
                let is_more = self.is_more(offset, seen)?;
                is_more.then(|| Position::Offset {
                    offset,
                    before: before(),
                })
            }
            PageKind::Number(_) => {
                let number = match position {
                    Position::Number { number, .. } | Position::Start { number, .. } => *number,
                    _ => self.first,
                };
                let size = u64::try_from(seen.size).unwrap_or(u64::MAX);
                let pages = number.saturating_sub(self.first).saturating_add(1);
                let read = pages.saturating_mul(size);
                let is_more = self.is_more(read, seen)?;
                is_more.then(|| Position::Number {
                    number: number.saturating_add(1),
                    before: before(),
                })
            }
        };
        Ok(match next {
            Some(next) if next == *position => Next::Circle,
            Some(next) => Next::Page(next),
            None => Next::Last,
        })
    }

    /// Whether there is more after that many items: by the source's own word, else when the page was full.
    fn is_more(&self, read: u64, seen: Seen<'_>) -> Result<bool, CallFailure> {
        if seen.items.is_empty() {
            return Ok(false);
        }
        if self.more.is_some() {
            return Ok(true);
        }
        if let Some(total) = &self.total
            && let Some(total) = count(total, seen.scope)?
        {
            return Ok(read < total);
        }
        Ok(seen.items.len() >= seen.size)
    }
}

fn follow(url: &Url, link: &str) -> Result<Position, CallFailure> {
    join_next(url, link)
        .map(Position::Link)
        .map_err(|error| CallFailure::invalid(error.to_string()))
}

fn value(expression: &Expression, scope: &Scope<'_>) -> Result<Option<Tree>, CallFailure> {
    match expression.evaluate(scope) {
        Ok(outcome) => Ok(match outcome.value.into_owned() {
            Tree::Null => None,
            value => Some(value),
        }),
        Err(error) => Err(CallFailure::invalid(format!("reading the page: {error}"))),
    }
}

/// A text that is not empty.
fn text(expression: &Expression, scope: &Scope<'_>) -> Result<Option<String>, CallFailure> {
    let found = value(expression, scope)?;
    let text = found.as_ref().and_then(Tree::as_text);
    Ok(text
        .filter(|text| !text.is_empty())
        .map(|text| text.into_owned()))
}

/// The next page's address by the headers.
fn linked(headers: &HeaderMap) -> Option<String> {
    let links: Vec<&str> = headers
        .get_all(http::header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    parse_link_header(&links.join(","))
}

fn is_true(value: &Tree) -> bool {
    match value {
        Tree::Bool(truth) => *truth,
        Tree::Text(text) | Tree::Number(text) => {
            !matches!(text.trim(), "" | "0") && !text.trim().eq_ignore_ascii_case("false")
        }
        Tree::Null => false,
        Tree::List(items) => !items.is_empty(),
        Tree::Map(members) => !members.is_empty(),
    }
}

/// A number of records that the reply tells; what is no number is unknown.
pub(crate) fn count(
    expression: &Expression,
    scope: &Scope<'_>,
) -> Result<Option<u64>, CallFailure> {
    let found = value(expression, scope)?;
    let text = found.as_ref().and_then(Tree::as_text);
    Ok(text.and_then(|text| text.trim().parse().ok()))
}
