//! Compiles the fields of an entity against its type in the graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::connector::compile::graph::node_of;
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::convert::{EnumLeaf, Leaf};
use crate::connector::language::Language;
use crate::connector::language::expression::Expression;
use crate::connector::map::{Derive, FieldMap, FieldSource, LeafMap, ObjectMap, Part};
use crate::connector::operation::Inverse;
use crate::protocol::tree::Tree;
use crate::record::value::Value;
use crate::schema::{Catalog, FieldDef, Fill, ObjectDef, TypeDef, TypeKind};

/// A slot, and what it holds when the file does not map it.
type Filled = (usize, Value);

/// A slot that must not be null, and its field.
type Required = (usize, Arc<str>);

/// Levels of objects within a record.
const DEPTH_MAX: usize = 8;

/// What fields are compiled against.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) language: &'a Language,
    pub(crate) zone: Option<&'a str>,
}

/// The keys of a mapping that says more than an expression.
const LEAF_KEYS: [&str; 4] = ["from", "as", "otherwise", "default"];

impl Surroundings<'_> {
    /// Compiles the mapped fields of an object of the graph; `report` looks at the mapping of fields.
    pub(crate) fn object(
        &self,
        report: &mut Report<'_>,
        ty: (&TypeDef, &ObjectDef),
        written: &[(Box<str>, Tree)],
        depth: usize,
    ) -> ObjectMap {
        let (def, object) = ty;
        let mut fields = Vec::new();
        for (name, mapping) in written {
            report.at(&**name, |report| {
                let Some(field) = mappable(report, def, object, name) else {
                    return;
                };
                if let Some(source) = self.field(report, (object, field), mapping, depth) {
                    fields.push(FieldMap {
                        slot: field.slot,
                        name: field.name.clone(),
                        source,
                    });
                }
            });
        }
        // Raw texts are put beside their values, so a mapping of the raw field itself must come after.
        fields.sort_by_key(|field| field.slot);
        let (fill, required) = self.unmapped(report, ty, written, depth);
        let slot = |name: &str| object.field(name).map(|field| field.slot);
        let anchor = match &*def.name {
            "Money" => slot("amount"),
            "EmailContactPoint" => slot("address"),
            "PhoneContactPoint" => slot("raw"),
            _ => None,
        };
        ObjectMap {
            ty: def.id,
            slots: object.fields.len(),
            fields,
            fill,
            required,
            anchor,
            derive: self.derive(def, object),
        }
    }

    /// What the slots hold that are not mapped, and which slots must not be null; tells fields that can't be left out.
    fn unmapped(
        &self,
        report: &mut Report<'_>,
        ty: (&TypeDef, &ObjectDef),
        written: &[(Box<str>, Tree)],
        depth: usize,
    ) -> (Vec<Filled>, Vec<Required>) {
        let (def, object) = ty;
        let is_mapped = |name: &str| written.iter().any(|(known, _)| &**known == name);
        let (mut fill, mut required) = (Vec::new(), Vec::new());
        for field in &object.fields {
            if field.fill != Fill::Mapped && field.fill != Fill::Embedded {
                continue;
            }
            match self.default_of(field) {
                Some(value) if !is_mapped(&field.name) => fill.push((field.slot, value)),
                None if field.ty.non_null && field.fill == Fill::Mapped => {
                    required.push((field.slot, field.name.clone()));
                    if !is_mapped(&field.name) && depth > 0 {
                        let message = format!(
                            "`{}` needs `{}`, which is not mapped here.",
                            def.name, field.name
                        );
                        report.error("missing-field", message);
                    }
                }
                Some(_) | None => {}
            }
        }
        (fill, required)
    }

    /// What a field holds that is not mapped and can't be null.
    fn default_of(&self, field: &FieldDef) -> Option<Value> {
        if field.fill == Fill::Embedded || (field.ty.list.is_some() && field.ty.non_null) {
            return Some(Value::List(Arc::from([])));
        }
        if !field.ty.non_null {
            return None;
        }
        if &*field.ty.name == "Boolean" {
            return Some(Value::Bool(false));
        }
        let values = self.catalog.enum_values(&field.ty.name)?;
        let unknown = values.iter().find(|value| &*value.name == "UNKNOWN")?;
        Some(Value::Text(unknown.name.clone()))
    }

    fn derive(&self, def: &TypeDef, object: &ObjectDef) -> Derive {
        let slot = |name: &str| object.field(name).map(|field| field.slot);
        match &*def.name {
            "EmailContactPoint" => match (slot("address"), slot("normalized"), slot("shared")) {
                (Some(address), Some(normalized), Some(shared)) => Derive::Email {
                    address,
                    normalized,
                    shared,
                },
                _ => Derive::Nothing,
            },
            "PhoneContactPoint" => {
                let parse = Expression::compile("raw | phone(country)", self.language);
                match (slot("raw"), slot("country"), slot("e164"), parse) {
                    (Some(raw), Some(country), Some(e164), Ok(parse)) => Derive::Phone {
                        raw,
                        country,
                        e164,
                        parse: Box::new(parse),
                    },
                    _ => Derive::Nothing,
                }
            }
            _ => Derive::Nothing,
        }
    }

    fn field(
        &self,
        report: &mut Report<'_>,
        at: (&ObjectDef, &FieldDef),
        mapping: &Tree,
        depth: usize,
    ) -> Option<FieldSource> {
        let (object, field) = at;
        let connection = (field.fill == Fill::Embedded)
            .then(|| node_of(self.catalog, &field.ty.name))
            .flatten();
        let target = connection.or_else(|| self.catalog.object(&field.ty.name));
        let Some(target) = target else {
            return self.leaf_field(report, object, field, mapping);
        };
        if depth >= DEPTH_MAX {
            report.error(
                "too-deep",
                format!("Objects nest {DEPTH_MAX} levels at most."),
            );
            return None;
        }
        let is_list = connection.is_some() || field.ty.list.is_some();
        if !is_list {
            let Tree::Map(members) = mapping else {
                let hint = format!(
                    "Write the fields of `{0}`: `{1}: {{ … }}`.",
                    target.0.name, field.name
                );
                let message = format!("`{}` is an object of type `{}`.", field.name, target.0.name);
                report.error_with("wrong-shape", message, Some(hint));
                return None;
            };
            let map = self.object(report, target, members, depth + 1);
            return Some(FieldSource::Object(Box::new(map)));
        }
        let parts = match mapping {
            Tree::Map(_) => vec![self.part(report, field, target, mapping, depth)?],
            Tree::List(items) => {
                let mut parts = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let part = report.at(index, |report| {
                        self.part(report, field, target, item, depth)
                    });
                    parts.extend(part);
                }
                parts
            }
            _ => {
                self.wrong_list(report, field, target.0);
                return None;
            }
        };
        Some(FieldSource::Objects(parts))
    }

    fn wrong_list(&self, report: &mut Report<'_>, field: &FieldDef, target: &TypeDef) {
        let message = format!("`{}` is a list of `{}`.", field.name, target.name);
        let hint = format!(
            "Write `{}: {{ each: path, fields: {{ … }} }}`, where `each` gives the list and `fields` maps one item of it.",
            field.name
        );
        report.error_with("wrong-shape", message, Some(hint));
    }

    /// One object of a list, or one for each item of a list of the reply.
    fn part(
        &self,
        report: &mut Report<'_>,
        field: &FieldDef,
        target: (&TypeDef, &ObjectDef),
        mapping: &Tree,
        depth: usize,
    ) -> Option<Part> {
        let Tree::Map(members) = mapping else {
            self.wrong_list(report, field, target.0);
            return None;
        };
        let Some(each) = mapping.get("each") else {
            return Some(Part::One(self.object(report, target, members, depth + 1)));
        };
        known_keys(report, members, &["each", "fields"]);
        let over = report.at("each", |report| {
            let text = text_of(report, each)?;
            report.expression(text, self.language)
        });
        let Some(Tree::Map(fields)) = mapping.get("fields") else {
            report.error(
                "missing-key",
                "`each` goes with `fields`, which maps one item of the list.",
            );
            return None;
        };
        let map = report.at("fields", |report| {
            self.object(report, target, fields, depth + 1)
        });
        Some(Part::Each(over?, map))
    }

    fn leaf_field(
        &self,
        report: &mut Report<'_>,
        object: &ObjectDef,
        field: &FieldDef,
        mapping: &Tree,
    ) -> Option<FieldSource> {
        let leaf = self.leaf(&field.ty.name)?;
        let raw = self.raw_slot(object, field);
        let mut map = match mapping {
            Tree::Text(text) => LeafMap {
                from: report.expression(text, self.language)?,
                leaf,
                table: Vec::new(),
                otherwise: None,
                default: None,
                raw,
            },
            Tree::Map(members) if mapping.get("from").is_some() => {
                self.long_leaf(report, (field, leaf), members, mapping)?
            }
            Tree::Map(members) if mapping.get("value").is_some() => {
                known_keys(report, members, &["value"]);
                let value = mapping.get("value")?;
                let value = report.at("value", |report| self.literal(report, &leaf, value))?;
                let value = match field.ty.list {
                    Some(_) => Value::List(Arc::from([value])),
                    None => value,
                };
                return Some(FieldSource::Constant(value));
            }
            _ => {
                let message = format!(
                    "`{}` is a single value of type `{}`.",
                    field.name, field.ty.name
                );
                let hint = "Write an expression, `{ from: …, as: { … } }` or `{ value: … }`.";
                report.error_with("wrong-shape", message, Some(hint.to_owned()));
                return None;
            }
        };
        map.raw = raw;
        Some(match field.ty.list {
            Some(_) => FieldSource::Leaves(map),
            None => FieldSource::Leaf(map),
        })
    }

    /// The slot of the raw text beside an enum, such as `rawStatus` of `status`.
    fn raw_slot(&self, object: &ObjectDef, field: &FieldDef) -> Option<usize> {
        self.catalog.enum_values(&field.ty.name)?;
        let mut chars = field.name.chars();
        let first = chars.next()?.to_ascii_uppercase();
        let name = format!("raw{first}{}", chars.as_str());
        object.field(&name).map(|raw| raw.slot)
    }

    fn long_leaf(
        &self,
        report: &mut Report<'_>,
        of: (&FieldDef, Leaf),
        members: &[(Box<str>, Tree)],
        mapping: &Tree,
    ) -> Option<LeafMap> {
        known_keys(report, members, &LEAF_KEYS);
        let (_, leaf) = of;
        let from = report.at("from", |report| {
            let text = text_of(report, mapping.get("from")?)?;
            report.expression(text, self.language)
        });
        let mut table = Vec::new();
        match mapping.get("as") {
            None => {}
            Some(Tree::Map(rows)) => report.at("as", |report| {
                for (raw, value) in rows {
                    let value = report.at(&**raw, |report| self.literal(report, &leaf, value));
                    table.extend(value.map(|value| (raw.clone(), value)));
                }
            }),
            Some(_) => report.at("as", |report| {
                report.error("wrong-shape", "`as` is a table: `{ raw text: VALUE }`.");
            }),
        }
        let mut constant = |key: &str| {
            let value = mapping.get(key)?;
            report.at(key, |report| self.literal(report, &leaf, value))
        };
        let otherwise = constant("otherwise");
        let default = constant("default");
        Some(LeafMap {
            from: from?,
            leaf,
            table,
            otherwise,
            default,
            raw: None,
        })
    }

    /// A constant of the file as a value of the type.
    fn literal(&self, report: &mut Report<'_>, leaf: &Leaf, value: &Tree) -> Option<Value> {
        if let Leaf::Enum(leaf) = leaf {
            let text = value.as_text().unwrap_or_default();
            let found = leaf.values.iter().find(|known| ***known == *text);
            if let Some(found) = found {
                return Some(Value::Text(found.clone()));
            }
            let message = format!("`{text}` is not a value of this enum of the graph.");
            let hint = did_you_mean(&text, leaf.values.iter().map(|value| &**value));
            report.error_with("unknown-enum-value", message, hint);
            return None;
        }
        match leaf.convert(value, true) {
            Ok(value) => Some(value),
            Err(reason) => {
                report.error("wrong-value", format!("The constant {reason}."));
                None
            }
        }
    }

    /// How values of a leaf type of the graph are read.
    pub(crate) fn leaf(&self, name: &str) -> Option<Leaf> {
        Some(match name {
            "ID" => Leaf::Id,
            "String" => Leaf::Text,
            "Int" => Leaf::Int,
            "Float" => Leaf::Float,
            "Boolean" => Leaf::Boolean,
            "Decimal" => Leaf::Decimal,
            "BigInt" => Leaf::BigInt,
            "DateTime" => Leaf::Time(Box::new(self.time()?)),
            "Date" => Leaf::Date,
            "CurrencyCode" => Leaf::Currency,
            "CountryCode" => Leaf::Country(Box::new(
                Expression::compile("value | country", self.language).ok()?,
            )),
            "URL" => Leaf::Url,
            "JSON" => Leaf::Json,
            other => match self.catalog.enum_values(other) {
                Some(values) => {
                    let find = |name: &str| {
                        let value = values.iter().find(|value| &*value.name == name);
                        value.map(|value| value.name.clone())
                    };
                    Leaf::Enum(Box::new(EnumLeaf {
                        other: find("OTHER"),
                        unknown: find("UNKNOWN"),
                        values: values.iter().map(|value| value.name.clone()).collect(),
                    }))
                }
                None => Leaf::Trimmed,
            },
        })
    }

    fn time(&self) -> Option<Expression> {
        let text = match self.zone {
            Some(zone) => format!("value | datetime('{zone}')"),
            None => "value | datetime".to_owned(),
        };
        Expression::compile(&text, self.language).ok()
    }
}

/// The field of that name, when a file may map it.
fn mappable<'o>(
    report: &mut Report<'_>,
    def: &TypeDef,
    object: &'o ObjectDef,
    name: &str,
) -> Option<&'o FieldDef> {
    let Some(field) = object.field(name) else {
        let message = format!("`{}` has no field `{name}`.", def.name);
        let known = object
            .fields
            .iter()
            .filter(|field| matches!(field.fill, Fill::Mapped | Fill::Embedded));
        let hint = did_you_mean(name, known.map(|field| &*field.name));
        report.name_error("unknown-field", message, hint);
        return None;
    };
    let (why, hint) = match &field.fill {
        Fill::Mapped | Fill::Embedded => return Some(field),
        Fill::Computed => ("is computed by the gateway", None),
        Fill::Derived => ("is derived from the values beside it", None),
        Fill::Link(link) => (
            "follows a foreign key",
            Some(format!("Write the key under `links`: `{link}: path`.")),
        ),
        Fill::By(link) => (
            "is found by the records that point here",
            Some(format!(
                "Map the entity of that field, with the link `{link}`."
            )),
        ),
        Fill::Get | Fill::List => ("is a root field", None),
    };
    let message = format!("`{}.{name}` {why}, so no file maps it.", def.name);
    let hint = hint.or_else(|| Some("Remove the line.".to_owned()));
    report.name_error("not-mappable", message, hint);
    None
}

fn known_keys(report: &mut Report<'_>, members: &[(Box<str>, Tree)], known: &[&str]) {
    for (key, _) in members {
        if !known.contains(&&**key) {
            let message = format!("There is no key `{key}` here.");
            let hint = did_you_mean(key, known.iter().copied());
            report.at(&**key, |report| {
                report.name_error("unknown-key", message, hint)
            });
        }
    }
}

fn text_of<'t>(report: &mut Report<'_>, value: &'t Tree) -> Option<&'t str> {
    match value {
        Tree::Text(text) => Some(text),
        _ => {
            report.error("wrong-shape", "This is an expression, so it is a text.");
            None
        }
    }
}

/// The raw texts of each value of an enum field, for filters that are pushed down.
pub(crate) fn inverses(
    catalog: &Catalog,
    entity: &ObjectDef,
    written: &BTreeMap<String, crate::connector::spec::Mapping>,
) -> BTreeMap<String, Inverse> {
    let mut inverses = BTreeMap::new();
    for (name, mapping) in written {
        let is_enum = entity.field(name).is_some_and(|field| {
            let def = catalog.named(&field.ty.name);
            def.is_some_and(|def| matches!(def.kind, TypeKind::Enum(_)))
        });
        if let (true, Some(Tree::Map(rows))) = (is_enum, mapping.0.0.get("as")) {
            let pairs = rows.iter().filter_map(|(raw, value)| {
                let value = value.as_text()?;
                Some((Arc::from(value.as_ref()), raw.clone()))
            });
            inverses.insert(name.clone(), Inverse(pairs.collect()));
        }
    }
    inverses
}
