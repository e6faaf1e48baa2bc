//! Random input values that fit their types: as literals, as variables, as JSON.

use std::collections::BTreeMap;

use async_graphql::parser::types::{BaseType, Type};
use serde_json::{Value as Json, json};
use tributary::schema::{Catalog, InputDef, TypeKind};

use super::operation::Variable;
use super::random::Random;

const DEPTH_MAX: usize = 3;

pub struct Values<'a> {
    pub catalog: &'a Catalog,
    pub random: &'a mut Random,
    /// The document's variables, when the value may hold some.
    pub variables: Option<&'a mut BTreeMap<String, Variable>>,
}

impl Values<'_> {
    /// A value of the document, for a place that has a default or has not.
    pub fn literal(&mut self, ty: &Type, has_default: bool, depth: usize) -> String {
        if self.variables.is_some() && self.random.chance(25) {
            return self.variable(ty, has_default);
        }
        if ty.nullable && self.random.chance(8) {
            return "null".to_owned();
        }
        match &ty.base {
            BaseType::List(item) => {
                let mut item = Type::clone(item);
                if self.random.chance(15) && !matches!(item.base, BaseType::List(_)) {
                    // One value stands for a list of it; a variable would have to be a list.
                    item.nullable = false;
                    return self.constant(&item, depth);
                }
                let length = self.random.below(4);
                let items: Vec<String> = (0..length)
                    .map(|_| self.literal(&item, false, depth))
                    .collect();
                format!("[{}]", items.join(", "))
            }
            BaseType::Named(name) => self.named(name.as_str(), depth),
        }
    }

    fn constant(&mut self, ty: &Type, depth: usize) -> String {
        Values {
            catalog: self.catalog,
            random: self.random,
            variables: None,
        }
        .literal(ty, false, depth)
    }

    fn named(&mut self, name: &str, depth: usize) -> String {
        if let Some(values) = self.catalog.enum_values(name) {
            return self.random.pick(values).name.to_string();
        }
        if let Some(TypeKind::Input { one_of, fields }) =
            self.catalog.named(name).map(|def| &def.kind)
        {
            let members: Vec<String> = self
                .members(*one_of, fields, depth)
                .into_iter()
                .map(|(field, ty)| {
                    let has_default = field.default.is_some();
                    let value = if !one_of {
                        self.literal(&ty, has_default, depth + 1)
                    } else if self.variables.is_some() && self.random.chance(25) {
                        // Here no default makes up for a variable that may be null.
                        self.declared(ty, None)
                    } else {
                        self.constant(&ty, depth + 1)
                    };
                    format!("{}: {value}", field.name)
                })
                .collect();
            return format!("{{{}}}", members.join(", "));
        }
        let texts: &[&str] = match name {
            "Int" => &["0", "1", "25", "-3", "2147483647"],
            "Float" => &["1", "0.5", "-2.25e1", "1E2"],
            "Boolean" => &["true", "false"],
            "ID" => &["\"a\"", "7", "\"7\"", "\"\""],
            "JSON" => &["{a: [1, \"x\", null, true]}", "1", "\"t\"", "[]"],
            "DateTime" => &["\"2026-03-01T09:30:00Z\""],
            "Date" => &["\"2026-03-01\""],
            "Decimal" => &["\"19.99\"", "\"0\""],
            "BigInt" => &["\"9007199254740993\"", "12"],
            _ => &[
                "\"plain\"",
                "\"\"",
                "\"q \\\" \\\\ \\u00e9 \\n\"",
                "\"\"\"\n    block\n\n      \"text\"\n    \"\"\"",
                "\"é 日本 🦀\"",
            ],
        };
        (*self.random.pick(texts)).to_owned()
    }

    /// Which fields of an input object to give, with the types their values must have.
    fn members<'f>(
        &mut self,
        one_of: bool,
        fields: &'f [InputDef],
        depth: usize,
    ) -> Vec<(&'f InputDef, Type)> {
        if one_of {
            let field = self.random.pick(fields);
            let mut ty = field.ty.clone();
            ty.nullable = false;
            return vec![(field, ty)];
        }
        let mut given: Vec<(&InputDef, Type)> = fields
            .iter()
            .filter(|field| {
                let is_required = !field.ty.nullable && field.default.is_none();
                is_required || depth < DEPTH_MAX && self.random.chance(35)
            })
            .map(|field| (field, field.ty.clone()))
            .collect();
        if self.random.chance(30) {
            given.reverse();
        }
        given
    }

    /// A variable that may stand where a value of the type is wanted.
    fn variable(&mut self, ty: &Type, has_default: bool) -> String {
        let mut own = ty.clone();
        let mut default = None;
        if own.nullable && self.random.chance(20) {
            own.nullable = false;
        }
        // A default of the place or of the variable lets a nullable variable stand where null is not allowed.
        let may_loosen = !ty.nullable && self.random.chance(25);
        if may_loosen && has_default && self.random.chance(50) {
            own.nullable = true;
        } else if may_loosen || self.random.chance(25) {
            own.nullable = own.nullable || may_loosen;
            let mut kept = own.clone();
            kept.nullable = false;
            default = Some(self.constant(&kept, 1));
        }
        self.declared(own, default)
    }

    /// A variable of that type, at times one that is there already.
    fn declared(&mut self, own: Type, default: Option<String>) -> String {
        let written = own.to_string();
        let value = self.sent(&own, default.is_some());
        let Some(variables) = self.variables.as_deref_mut() else {
            unreachable!("variables were asked for");
        };
        let known: Vec<String> = variables
            .iter()
            .filter(|(known, variable)| {
                known.starts_with('v') && variable.ty == written && variable.default == default
            })
            .map(|(known, _)| known.clone())
            .collect();
        if !known.is_empty() && self.random.chance(50) {
            return format!("${}", self.random.pick(&known));
        }
        let name = format!("v{}", variables.len());
        let variable = Variable {
            ty: written,
            default,
            value,
        };
        variables.insert(name.clone(), variable);
        format!("${name}")
    }

    /// What a request sends for a variable; nothing when it leaves the variable out.
    pub fn sent(&mut self, ty: &Type, has_default: bool) -> Option<Json> {
        let may_leave_out = has_default || ty.nullable;
        if may_leave_out && self.random.chance(25) {
            return None;
        }
        Some(self.json(ty, 0))
    }

    fn json(&mut self, ty: &Type, depth: usize) -> Json {
        if ty.nullable && self.random.chance(12) {
            return Json::Null;
        }
        match &ty.base {
            BaseType::List(item) => {
                if self.random.chance(15) && !matches!(item.base, BaseType::List(_)) {
                    let mut item = Type::clone(item);
                    item.nullable = false;
                    return self.json(&item, depth);
                }
                let length = self.random.below(4);
                Json::Array((0..length).map(|_| self.json(item, depth)).collect())
            }
            BaseType::Named(name) => self.named_json(name.as_str(), depth),
        }
    }

    fn named_json(&mut self, name: &str, depth: usize) -> Json {
        if let Some(values) = self.catalog.enum_values(name) {
            return json!(&*self.random.pick(values).name);
        }
        if let Some(TypeKind::Input { one_of, fields }) =
            self.catalog.named(name).map(|def| &def.kind)
        {
            let members = self
                .members(*one_of, fields, depth)
                .into_iter()
                .map(|(field, ty)| (field.name.to_string(), self.json(&ty, depth + 1)))
                .collect();
            return Json::Object(members);
        }
        match name {
            "Int" => json!(*self.random.pick(&[0, 1, 25, -3, i32::MAX])),
            "Float" => self
                .random
                .pick(&[json!(1), json!(0.5), json!(-22.5)])
                .clone(),
            "Boolean" => json!(self.random.chance(50)),
            "ID" => self.random.pick(&[json!("a"), json!(7), json!("")]).clone(),
            "JSON" => self
                .random
                .pick(&[json!({"b": [1, null], "a": {}}), json!("t"), json!([])])
                .clone(),
            "DateTime" => json!("2026-03-01T09:30:00Z"),
            "Date" => json!("2026-03-01"),
            "Decimal" => json!("19.99"),
            "BigInt" => json!("9007199254740993"),
            _ => json!(
                *self
                    .random
                    .pick(&["plain", "", "q \" \\ \u{e9}\n", "日本 🦀"])
            ),
        }
    }
}
