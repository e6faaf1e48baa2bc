//! Values of mapped fields: cheap to clone, exact, and ready to be written out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The number of a type within one catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TypeId(pub u16);

/// The value of one field. Decimals, 64-bit integers, times, ids and enum values are text, as the graph serialises them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A GraphQL `Int`.
    Int(i32),
    /// A GraphQL `Float`.
    Float(f64),
    /// Text of any string-like scalar or enum.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// An object of the graph.
    Object(Arc<Object>),
    /// Any JSON, as its text.
    Json(Arc<str>),
}

impl Value {
    /// Text, when the value is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::Json(_) => None,
        }
    }

    /// The items, when the value is a list.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Object(_)
            | Self::Json(_) => &[],
        }
    }

    /// The object, when the value is one.
    pub fn object(&self) -> Option<&Arc<Object>> {
        match self {
            Self::Object(object) => Some(object),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Json(_) => None,
        }
    }

    /// Whether the value says nothing: null, blank text or an empty list.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Object(_) | Self::Json(_) => {
                false
            }
        }
    }

    /// Roughly how many bytes the value holds on to.
    pub fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 24,
            Self::Text(text) | Self::Json(text) => 40 + text.len(),
            Self::List(items) => 40 + items.iter().map(Self::weight).sum::<usize>(),
            Self::Object(object) => 24 + object.weight(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Option<Arc<str>>> for Value {
    fn from(text: Option<Arc<str>>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

/// An object of the graph: one value for every field of its type, in the catalog's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Which type it is.
    pub ty: TypeId,
    /// One value for each field.
    pub slots: Box<[Value]>,
}

static NULL: Value = Value::Null;

impl Object {
    /// The value in that slot; a slot that is not there is null.
    pub fn slot(&self, slot: usize) -> &Value {
        self.slots.get(slot).unwrap_or(&NULL)
    }

    /// Roughly how many bytes the object holds on to.
    pub fn weight(&self) -> usize {
        32 + self.slots.iter().map(Value::weight).sum::<usize>()
    }
}
