//! A part of a connector file whose shape is not known beforehand, such as a body or a mapping.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::connector::spec::Mapping;
use crate::protocol::tree::Tree;

/// Any structure, as a tree; whole numbers keep their text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written(pub Tree);

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Written, E> {
        Ok(Written(Tree::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Written, E> {
        Ok(Written(Tree::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        Written::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Written, E> {
        Ok(Written(Tree::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Written, E> {
        Ok(Written(Tree::Number(value.to_string().into())))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Written, E> {
        Ok(Written(Tree::Number(value.to_string().into())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Written, E> {
        Ok(Written(Tree::Number(value.to_string().into())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
        Ok(Written(Tree::Text(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        let mut list = Vec::new();
        while let Some(Written(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Written(Tree::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Written, A::Error> {
        let mut members = Vec::new();
        while let Some((key, Written(value))) = pairs.next_entry::<String, Written>()? {
            members.push((key.into_boxed_str(), value));
        }
        Ok(Written(Tree::Map(members)))
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

impl JsonSchema for Written {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Any structure; its texts are templates." })
    }
}

impl JsonSchema for Mapping {
    fn schema_name() -> Cow<'static, str> {
        "Mapping".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<Self>();
        let scalar = json_schema!({ "type": ["string", "number", "boolean", "null"] });
        let table =
            json_schema!({ "type": "object", "additionalProperties": { "type": "string" } });
        json_schema!({
            "description": "Where a field comes from.",
            "anyOf": [
                { "type": "string", "description": "An expression over the record." },
                {
                    "type": "object", "additionalProperties": false, "required": ["from"],
                    "description": "An expression, and what to make of its value.",
                    "properties": {
                        "from": { "type": "string", "description": "An expression over the record." },
                        "as": table,
                        "otherwise": { "type": "string", "description": "The value for what `as` does not list; `OTHER` when absent." },
                        "default": scalar
                    }
                },
                {
                    "type": "object", "additionalProperties": false, "required": ["value"],
                    "description": "A constant.",
                    "properties": { "value": scalar }
                },
                {
                    "type": "object", "additionalProperties": false, "required": ["each", "fields"],
                    "description": "A list of objects: one for each item that the expression `each` gives.",
                    "properties": {
                        "each": { "type": "string", "description": "An expression that gives a list." },
                        "fields": { "type": "object", "additionalProperties": mapping }
                    }
                },
                {
                    "type": "object", "additionalProperties": mapping,
                    "description": "The fields of a nested object."
                },
                { "type": "array", "items": mapping, "description": "Several objects of a list." }
            ]
        })
    }
}
