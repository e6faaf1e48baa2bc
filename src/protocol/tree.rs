//! A decoded reply, whatever the wire format was.

use std::borrow::Cow;

/// One value of a reply. Numbers keep their text, so that money and 64-bit ids never pass through a float.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tree {
    /// JSON `null`, or an XML element with `xsi:nil`.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A number as the vendor wrote it.
    Number(Box<str>),
    /// Text.
    Text(Box<str>),
    /// A list.
    List(Vec<Tree>),
    /// An object or element, in document order.
    Map(Vec<(Box<str>, Tree)>),
}

impl Tree {
    /// The member of that name, when this is a map that has one; of several the last, as JSON readers do.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members
                .iter()
                .rev()
                .find(|(key, _)| &**key == name)
                .map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The item at that place, when this is a list that has one.
    pub fn at(&self, index: usize) -> Option<&Self> {
        match self {
            Self::List(items) => items.get(index),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Map(_) => None,
        }
    }

    /// Whether the vendor said that there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a scalar: text and numbers as the vendor wrote them, `true` or `false`; `None` for all else.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Bool(true) => Some(Cow::Borrowed("true")),
            Self::Bool(false) => Some(Cow::Borrowed("false")),
            Self::Number(text) | Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The items when this is a list, nothing otherwise.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    /// The members in document order when this is a map, nothing otherwise; a repeated key appears each time.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Self)> {
        let members: &[(Box<str>, Self)] = match self {
            Self::Map(members) => members,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &[],
        };
        members.iter().map(|(key, value)| (&**key, value))
    }

    /// Takes the member of that name out of a map, of several the last, so that a large reply is not copied.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        match self {
            Self::Map(members) => {
                let index = members.iter().rposition(|(key, _)| &**key == name)?;
                Some(members.remove(index).1)
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Self {
        Self::Text(text.into_boxed_str())
    }
}

impl From<bool> for Tree {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Tree {
    fn from(value: i64) -> Self {
        Self::Number(value.to_string().into_boxed_str())
    }
}

impl From<Vec<Tree>> for Tree {
    fn from(items: Vec<Tree>) -> Self {
        Self::List(items)
    }
}
