//! Serde's view of a node: values by type, and errors that know their path.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::config::yaml::pretence::Pretence;
use crate::config::yaml::{Kind, Node, PathSegment, Scalar, Style, Value};

/// What serde refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A value of the wrong type, or of the right type and impossible.
    WrongType { found: String, expected: String },
    /// A key that the mapping does not have.
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    /// A word that is none of a fixed list.
    UnknownVariant {
        found: String,
        known: &'static [&'static str],
    },
    /// A key that must be there.
    Missing { key: String },
    /// What a hand-written reader says.
    Other { message: String },
}

/// What serde refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) refusal: Refusal,
    /// Innermost first, while it travels outwards.
    pub(super) path: Vec<PathSegment>,
    /// Whether the key at the end of the path is refused, and not its value.
    pub(super) on_key: bool,
}

impl Problem {
    fn new(refusal: Refusal) -> Self {
        Self {
            refusal,
            path: Vec::new(),
            on_key: false,
        }
    }

    fn inside(mut self, segment: PathSegment) -> Self {
        self.path.push(segment);
        self
    }

    fn at_key(mut self, key: &str) -> Self {
        self.on_key = true;
        self.inside(PathSegment::Key(key.to_owned()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.refusal)
    }
}

impl std::error::Error for Problem {}

fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        Unexpected::Float(value) => format!("the number `{value}`"),
        Unexpected::Str(value) => format!("the text `{value}`"),
        Unexpected::Unit | Unexpected::Option => "empty".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

fn expected(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let first = text.split(' ').next().unwrap_or_default();
    let plain = match (text.as_str(), first) {
        ("u8" | "u16" | "u32" | "u64" | "u128" | "usize", _) => {
            "a whole number that is not negative"
        }
        ("i8" | "i16" | "i32" | "i64" | "i128" | "isize", _) => "a whole number",
        ("f32" | "f64", _) => "a number",
        ("a boolean", _) => "`true` or `false`",
        ("a string" | "str" | "string", _) => "a text",
        ("a sequence", _) | (_, "tuple") => "a list",
        ("a map", _) | (_, "struct" | "internally" | "adjacently") => "a mapping",
        ("unit", _) => "nothing",
        (_, "enum") => "a word, or a mapping of one key",
        _ => return text,
    };
    plain.to_owned()
}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Refusal::Other {
            message: message.to_string(),
        })
    }

    fn invalid_type(unexpected: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Refusal::WrongType {
            found: found(unexpected),
            expected: expected(wanted),
        })
    }

    fn invalid_value(unexpected: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, wanted)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(Refusal::UnknownVariant {
            found: variant.to_owned(),
            known,
        })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Refusal::UnknownKey {
            key: field.to_owned(),
            known,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Refusal::Missing {
            key: field.to_owned(),
        })
    }
}

/// Reads a value from a node.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'a>(pub(super) &'a Node);

impl<'a> NodeDeserializer<'a> {
    fn scalar(self) -> Option<&'a Scalar> {
        match &self.0.kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    fn is_null(self) -> bool {
        self.scalar()
            .is_some_and(|scalar| scalar.value() == Value::Null)
    }

    fn visit_value<'de, V: Visitor<'de>>(
        self,
        value: Value<'_>,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Unsigned(value) => visitor.visit_u64(value),
            Value::Signed(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Text(value) => visitor.visit_str(value),
        }
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.scalar() {
            // A quoted `"${PORT}"` means the number that the variable holds.
            Some(scalar) if self.0.interpolated => {
                let plain = Scalar {
                    text: scalar.text.clone(),
                    style: Style::Plain,
                    marks: Vec::new(),
                };
                self.visit_value(plain.value(), visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            self.number(visitor)
        })+
    };
}

macro_rules! texts {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            match self.scalar() {
                // The text as written: a version `1.10` stays what it is.
                Some(scalar) if self.0.interpolated || !self.is_null() => visitor.visit_str(&scalar.text),
                _ => self.deserialize_any(visitor),
            }
        })+
    };
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.0.kind {
            Kind::Scalar(scalar) => self.visit_value(scalar.value(), visitor),
            Kind::Sequence(items) => visitor.visit_seq(Items {
                items: items.iter(),
                index: 0,
            }),
            Kind::Mapping(pairs) => {
                let pretended = self.0.pretended.iter();
                visitor.visit_map(Pairs {
                    pairs: pairs.iter(),
                    pretended,
                    next: None,
                })
            }
        }
    }

    numbers! { deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 }
    texts! { deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
    deserialize_identifier }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        // A variable that holds the word `null` is set.
        let is_word = self.0.interpolated && self.0.text() != Some("");
        if self.is_null() && !is_word {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        // A key whose lines are all commented out means an empty list.
        if self.is_null() {
            return visitor.visit_seq(Items {
                items: [].iter(),
                index: 0,
            });
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.is_null() {
            return visitor.visit_map(Pairs {
                pairs: [].iter(),
                pretended: [].iter(),
                next: None,
            });
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match &self.0.kind {
            Kind::Scalar(scalar) if !self.is_null() => visitor.visit_enum(Variant {
                name: &scalar.text,
                value: None,
            }),
            Kind::Mapping(pairs) => {
                let mut shown = pairs.iter().filter(|(_, value)| !value.dropped);
                match (shown.next(), shown.next()) {
                    (Some((key, value)), None) => visitor.visit_enum(Variant {
                        name: key.text().unwrap_or_default(),
                        value: Some(value),
                    }),
                    _ => Err(Problem::invalid_type(
                        Unexpected::Map,
                        &format!("enum {name}").as_str(),
                    )),
                }
            }
            Kind::Sequence(_) => Err(Problem::invalid_type(
                Unexpected::Seq,
                &format!("enum {name}").as_str(),
            )),
            Kind::Scalar(_) => Err(Problem::invalid_type(
                Unexpected::Unit,
                &format!("enum {name}").as_str(),
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
}

/// Reads a key, which is a text unless a number is asked for.
struct KeyDeserializer<'a>(&'a Node);

macro_rules! number_keys {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            NodeDeserializer(self.0).$method(visitor)
        })+
    };
}

impl<'de> Deserializer<'de> for KeyDeserializer<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str(self.0.text().unwrap_or_default())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_enum(Variant {
            name: self.0.text().unwrap_or_default(),
            value: None,
        })
    }

    number_keys! { deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

pub(super) struct Items<'a> {
    pub(super) items: std::slice::Iter<'a, Node>,
    pub(super) index: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        for item in self.items.by_ref() {
            let index = self.index;
            self.index = self.index.saturating_add(1);
            if !item.dropped {
                let value = seed.deserialize(NodeDeserializer(item));
                return value
                    .map(Some)
                    .map_err(|problem| problem.inside(PathSegment::Index(index)));
            }
        }
        Ok(None)
    }
}

pub(super) enum Next<'a> {
    Value(&'a str, &'a Node),
    Pretended(&'a str),
}

pub(super) struct Pairs<'a> {
    pub(super) pairs: std::slice::Iter<'a, (Node, Node)>,
    pub(super) pretended: std::slice::Iter<'a, String>,
    pub(super) next: Option<Next<'a>>,
}

impl<'de> de::MapAccess<'de> for Pairs<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        for (key, value) in self.pairs.by_ref() {
            if !value.dropped {
                let text = key.text().unwrap_or_default();
                self.next = Some(Next::Value(text, value));
                return seed
                    .deserialize(KeyDeserializer(key))
                    .map(Some)
                    .map_err(|problem| problem.at_key(text));
            }
        }
        let Some(key) = self.pretended.next() else {
            return Ok(None);
        };
        self.next = Some(Next::Pretended(key));
        let name: de::value::StrDeserializer<'_, Problem> = key.as_str().into_deserializer();
        seed.deserialize(name)
            .map(Some)
            .map_err(|problem| problem.at_key(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Problem> {
        let (key, value) = match self.next.take() {
            Some(Next::Value(key, node)) => (key, seed.deserialize(NodeDeserializer(node))),
            Some(Next::Pretended(key)) => (key, seed.deserialize(Pretence)),
            None => return Err(Problem::custom("a value was asked for before its key")),
        };
        value.map_err(|problem| problem.inside(PathSegment::Key(key.to_owned())))
    }
}

pub(super) struct Variant<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<&'a Node>,
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a> {
    type Error = Problem;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'a>), Problem> {
        let name: de::value::StrDeserializer<'_, Problem> = self.name.into_deserializer();
        let content = Content {
            name: self.name,
            value: self.value,
        };
        match seed.deserialize(name) {
            Ok(variant) => Ok((variant, content)),
            Err(problem) if self.value.is_some() => Err(problem.at_key(self.name)),
            Err(problem) => Err(problem),
        }
    }
}

pub(super) struct Content<'a> {
    name: &'a str,
    value: Option<&'a Node>,
}

impl Content<'_> {
    fn inside<T>(&self, result: Result<T, Problem>) -> Result<T, Problem> {
        result.map_err(|problem| problem.inside(PathSegment::Key(self.name.to_owned())))
    }

    fn bare(&self) -> Problem {
        let message = format!("`{}` needs a value: write a mapping of one key", self.name);
        Problem::custom(message)
    }
}

impl<'de> de::VariantAccess<'de> for Content<'_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        let Some(value) = self.value else {
            return Ok(());
        };
        self.inside(de::Deserialize::deserialize(NodeDeserializer(value)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        let value = self.value.ok_or_else(|| self.bare())?;
        self.inside(seed.deserialize(NodeDeserializer(value)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Problem> {
        let value = self.value.ok_or_else(|| self.bare())?;
        self.inside(NodeDeserializer(value).deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let value = self.value.ok_or_else(|| self.bare())?;
        self.inside(NodeDeserializer(value).deserialize_map(visitor))
    }
}
