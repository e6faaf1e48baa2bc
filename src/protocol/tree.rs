//! A decoded reply, whatever the wire format was.

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
}
