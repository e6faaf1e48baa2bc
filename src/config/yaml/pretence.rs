//! Values that stand in for absent ones while the rest of a document is read.

use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::yaml::deserialize::{Items, Pairs, Problem, Variant};

/// Stands in for a value whose absence is already reported, so that what follows it can still be read.
pub(super) struct Pretence;

macro_rules! pretend {
    ($($method:ident => $visit:ident($($value:expr)?);)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            visitor.$visit($($value)?)
        })+
    };
}

impl<'de> Deserializer<'de> for Pretence {
    type Error = Problem;

    pretend! {
        deserialize_any => visit_unit();
        deserialize_bool => visit_bool(false);
        deserialize_str => visit_str("");
        deserialize_string => visit_str("");
        deserialize_seq => visit_seq(Items { items: [].iter(), index: 0 });
        deserialize_map => visit_map(Pairs { pairs: [].iter(), pretended: [].iter(), next: None });
        deserialize_i8 => visit_i64(0);
        deserialize_i16 => visit_i64(0);
        deserialize_i32 => visit_i64(0);
        deserialize_i64 => visit_i64(0);
        deserialize_u8 => visit_u64(0);
        deserialize_u16 => visit_u64(0);
        deserialize_u32 => visit_u64(0);
        deserialize_u64 => visit_u64(0);
        deserialize_f32 => visit_f64(0.0);
        deserialize_f64 => visit_f64(0.0);
        deserialize_option => visit_none();
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
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
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_enum(Variant {
            name: known.first().copied().unwrap_or_default(),
            value: None,
        })
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}
