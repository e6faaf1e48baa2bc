//! Where a page starts, and where the next one does.

use http::HeaderMap;
use url::Url;

use crate::connector::failure::CallFailure;
use crate::connector::language::expression::{Expression, Scope};
use crate::connector::operation::{PageKind, PagePlan};
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
    /// After that many items.
    Offset(u64),
    /// At the page of that number.
    Number(u64),
}

/// What is known of a page that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) url: &'a Url,
    /// How many items the page had.
    pub(crate) count: usize,
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
            Self::Offset(offset) => Some(format!("o:{offset}")),
            Self::Number(number) => Some(format!("n:{number}")),
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
            (PageKind::Offset(_), "o") => rest.parse().ok().map(Self::Offset),
            (PageKind::Number(_), "n") => rest.parse().ok().map(Self::Number),
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

/// Whether an address is that of a list or below it.
pub(crate) fn is_below(url: &Url, own: &Url) -> bool {
    let path = own.path().trim_end_matches('/');
    url.path()
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl PagePlan {
    /// Where the next page starts; `None` when this was the last.
    pub(crate) fn next(
        &self,
        position: &Position,
        seen: Seen<'_>,
    ) -> Result<Option<Position>, CallFailure> {
        if let Some(more) = &self.more
            && !value(more, seen.scope)?.is_some_and(|value| is_true(&value))
        {
            return Ok(None);
        }
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
                    Position::Offset(offset) | Position::Start { offset, .. } => *offset,
                    _ => 0,
                };
                let count = u64::try_from(seen.count).unwrap_or(u64::MAX);
                let next = offset.saturating_add(count);
                self.is_more(next, seen)?.then_some(Position::Offset(next))
            }
            PageKind::Number(_) => {
                let number = match position {
                    Position::Number(number) | Position::Start { number, .. } => *number,
                    _ => self.first,
                };
                let size = u64::try_from(seen.size).unwrap_or(u64::MAX);
                let pages = number.saturating_sub(self.first).saturating_add(1);
                let read = pages.saturating_mul(size);
                let next = Position::Number(number.saturating_add(1));
                self.is_more(read, seen)?.then_some(next)
            }
        };
        match next {
            Some(next) if next == *position => Err(CallFailure::invalid(
                "the source's paging does not move on: the next page is the same page",
            )),
            next => Ok(next),
        }
    }

    /// Whether there is more after that many items: by the source's own word, else when the page was full.
    fn is_more(&self, read: u64, seen: Seen<'_>) -> Result<bool, CallFailure> {
        if seen.count == 0 {
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
        Ok(seen.count >= seen.size)
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
