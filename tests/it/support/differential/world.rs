//! Data in memory for any graph: failing, missing and null values among good ones. The engine resolves from it, and the
//! same data travels to the reference implementation as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::Value as Argument;
use chrono::DateTime;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};
use tributary::engine::plan::is_slot;
use tributary::error::Code;
use tributary::fetch::ReadPolicy;
use tributary::record::value::{Object, TypeId, Value};
use tributary::record::{Age, Reading, Record};
use tributary::resolve::argument::Arguments;
use tributary::resolve::field::Fields;
use tributary::resolve::item::{Child, Entity, Item, Resolved};
use tributary::resolve::{FieldError, Run};
use tributary::schema::{Catalog, FieldDef, TypeKind};

use super::random::Random;

/// How many instances each type with resolved fields has.
const INSTANCES: usize = 4;
/// How deep plain data is nested before lists stay empty and what may be null is null.
const PLAIN_DEPTH_MAX: usize = 3;

/// What a field of an instance holds.
#[derive(Debug, Clone)]
pub enum Datum {
    Null,
    /// The source fails.
    Fail,
    Leaf(Value),
    /// An instance.
    Object(usize),
    List(Vec<Datum>),
    /// One of these, by the coerced arguments.
    Choose(Vec<Datum>),
    /// The coerced arguments, as text.
    Echo,
}

#[derive(Debug)]
struct Instance {
    fields: Vec<Datum>,
    is_plain: bool,
    entity: Arc<Entity>,
}

#[derive(Debug)]
pub struct World {
    catalog: Arc<Catalog>,
    instances: Vec<Instance>,
}

impl World {
    pub fn new(catalog: &Arc<Catalog>, random: &mut Random) -> Self {
        let mut maker = Maker {
            catalog,
            random,
            resolved: BTreeMap::new(),
            made: Vec::new(),
        };
        maker.make();
        let made = maker.made;
        let instances = made
            .iter()
            .enumerate()
            .map(|(index, (ty, fields))| Instance {
                is_plain: is_plain(catalog, *ty),
                entity: entity(index, *ty, data(catalog, &made, index)),
                fields: fields.clone(),
            })
            .collect();
        Self {
            catalog: catalog.clone(),
            instances,
        }
    }

    /// The data as the reference implementation reads it; the first instance is the root.
    pub fn json(&self) -> Json {
        let instances = self.instances.iter().map(|instance| {
            let def = self.catalog.get(instance.entity.ty).unwrap();
            let (_, object) = self.catalog.object(&def.name).unwrap();
            let fields: serde_json::Map<String, Json> = object
                .fields
                .iter()
                .zip(&instance.fields)
                .map(|(field, datum)| {
                    // What a source leaves out of a list that the graph promises is an empty list.
                    let is_empty = matches!(datum, Datum::Null)
                        && is_slot(field)
                        && field.ty.non_null
                        && field.ty.list == Some(true);
                    let value = if is_empty {
                        json!([])
                    } else {
                        datum_json(datum)
                    };
                    (field.name.to_string(), value)
                })
                .collect();
            json!({"type": &*def.name, "fields": fields})
        });
        Json::Array(instances.collect())
    }

    fn child(&self, datum: &Datum, arguments: &Arguments) -> Resolved {
        Ok(match datum {
            Datum::Null => Child::Null,
            Datum::Fail => {
                return Err(FieldError::new(Code::SourceUnavailable, "fails as asked"));
            }
            Datum::Leaf(value) => Child::Value(value.clone()),
            Datum::Object(index) => {
                let instance = &self.instances[*index];
                // Plain data may come either way.
                if instance.is_plain && index % 2 == 0 {
                    Child::Value(Value::Object(instance.entity.data.clone()))
                } else {
                    Child::Item(Item::Entity(instance.entity.clone()))
                }
            }
            Datum::List(items) => {
                let children: Result<Vec<Child>, _> = items
                    .iter()
                    .map(|item| self.child(item, arguments))
                    .collect();
                Child::Items(children?)
            }
            Datum::Choose(options) => {
                let chosen = hash(&canonical(arguments)) as usize % options.len();
                return self.child(&options[chosen], arguments);
            }
            Datum::Echo => Child::Value(Value::from(canonical(arguments).as_str())),
        })
    }
}

impl Fields for World {
    fn prepare<'a>(
        &'a self,
        _run: &'a Run,
        parents: Vec<Item>,
        _selected: &'a [&'a str],
    ) -> BoxFuture<'a, Vec<Item>> {
        async move { parents }.boxed()
    }

    fn resolve<'a>(
        &'a self,
        _run: &'a Run,
        field: &'a FieldDef,
        arguments: &'a Arguments,
        parents: &'a [Item],
    ) -> BoxFuture<'a, Vec<Resolved>> {
        async move {
            parents
                .iter()
                .map(|parent| {
                    let index = match parent {
                        Item::Entity(entity) => entity.seed.record.remote_id.parse().unwrap(),
                        Item::Root | Item::Page(_) | Item::Edge(..) => 0,
                    };
                    let instance: &Instance = &self.instances[index];
                    self.child(&instance.fields[field.slot], arguments)
                })
                .collect()
        }
        .boxed()
    }
}

/// Whether every field stands in its slot.
fn is_plain(catalog: &Catalog, ty: TypeId) -> bool {
    let (_, object) = catalog.object(&catalog.get(ty).unwrap().name).unwrap();
    object.fields.iter().all(is_slot)
}

struct Maker<'a> {
    catalog: &'a Catalog,
    random: &'a mut Random,
    /// The first instance of each type with resolved fields.
    resolved: BTreeMap<TypeId, usize>,
    made: Vec<(TypeId, Vec<Datum>)>,
}

impl Maker<'_> {
    fn make(&mut self) {
        let catalog = self.catalog;
        let (root, _) = catalog.object("Query").unwrap();
        self.made.push((root.id, Vec::new()));
        for def in self.catalog.types() {
            let is_object = matches!(def.kind, TypeKind::Object(_));
            if is_object && def.id != root.id && !is_plain(self.catalog, def.id) {
                self.resolved.insert(def.id, self.made.len());
                for _ in 0..INSTANCES {
                    self.made.push((def.id, Vec::new()));
                }
            }
        }
        for index in 0..self.made.len() {
            let name = &catalog.get(self.made[index].0).unwrap().name;
            let (_, object) = catalog.object(name).unwrap();
            let fields = object.fields.iter().map(|field| self.field(field));
            self.made[index].1 = fields.collect();
        }
    }

    fn field(&mut self, field: &FieldDef) -> Datum {
        if is_slot(field) {
            return self.plain(field, 0);
        }
        if field.arguments.is_empty() {
            return self.resolved(field);
        }
        if field.ty.list.is_none() && &*field.ty.name == "String" {
            return Datum::Echo;
        }
        Datum::Choose((0..3).map(|_| self.resolved(field)).collect())
    }

    /// Anything, with failures.
    fn resolved(&mut self, field: &FieldDef) -> Datum {
        let (null, fail) = if field.ty.non_null { (4, 4) } else { (12, 8) };
        if self.random.chance(null) {
            return Datum::Null;
        }
        if self.random.chance(fail) {
            return Datum::Fail;
        }
        let Some(items_non_null) = field.ty.list else {
            return self.one(&field.ty.name, 0);
        };
        let null = if items_non_null { 3 } else { 20 };
        let length = self.random.below(4);
        let items = (0..length).map(|_| {
            if self.random.chance(null) {
                Datum::Null
            } else {
                self.one(&field.ty.name, 0)
            }
        });
        Datum::List(items.collect())
    }

    fn plain(&mut self, field: &FieldDef, depth: usize) -> Datum {
        let is_deep = depth >= PLAIN_DEPTH_MAX && !self.catalog.is_leaf(&field.ty.name);
        let null = if field.ty.non_null { 2 } else { 15 };
        if self.random.chance(null) || is_deep && !field.ty.non_null {
            return Datum::Null;
        }
        let Some(items_non_null) = field.ty.list else {
            return self.one(&field.ty.name, depth + 1);
        };
        let null = if items_non_null { 3 } else { 20 };
        let length = if is_deep { 0 } else { self.random.below(4) };
        let items = (0..length).map(|_| {
            if self.random.chance(null) {
                Datum::Null
            } else {
                self.one(&field.ty.name, depth + 1)
            }
        });
        Datum::List(items.collect())
    }

    /// A value of a type that is not null.
    fn one(&mut self, ty: &str, depth: usize) -> Datum {
        if self.catalog.is_leaf(ty) {
            return Datum::Leaf(self.leaf(ty));
        }
        let id = *self.random.pick(&self.catalog.possible(ty));
        if let Some(start) = self.resolved.get(&id) {
            assert_eq!(
                depth, 0,
                "plain data can't hold a `{ty}`, which is resolved"
            );
            return Datum::Object(start + self.random.below(INSTANCES));
        }
        let catalog = self.catalog;
        let (_, object) = catalog.object(&catalog.get(id).unwrap().name).unwrap();
        let fields = object
            .fields
            .iter()
            .map(|field| self.plain(field, depth + 1));
        let fields = fields.collect();
        self.made.push((id, fields));
        Datum::Object(self.made.len() - 1)
    }

    fn leaf(&mut self, ty: &str) -> Value {
        if let Some(values) = self.catalog.enum_values(ty) {
            return Value::from(&*self.random.pick(values).name);
        }
        match ty {
            "Int" => Value::Int(*self.random.pick(&[0, 1, -7, i32::MAX, i32::MIN])),
            "Float" => Value::Float(*self.random.pick(&[0.0, 0.5, -2.25, 3.0, 1e21])),
            "Boolean" => Value::Bool(self.random.chance(50)),
            "JSON" => Value::Json(
                (*self
                    .random
                    .pick(&["{\"b\":[1,null],\"a\":\"x\"}", "[]", "\"t\"", "false"]))
                .into(),
            ),
            _ => Value::from(*self.random.pick(&[
                "",
                "plain",
                "quote \" and \\",
                "line\nbreak\u{1}",
                "é 日本 🦀",
            ])),
        }
    }
}

fn data(catalog: &Catalog, made: &[(TypeId, Vec<Datum>)], index: usize) -> Arc<Object> {
    let (ty, fields) = &made[index];
    let (_, object) = catalog.object(&catalog.get(*ty).unwrap().name).unwrap();
    let slots = object.fields.iter().zip(fields).map(|(field, datum)| {
        if is_slot(field) {
            slot(catalog, made, datum)
        } else {
            Value::Null
        }
    });
    Arc::new(Object {
        ty: *ty,
        slots: slots.collect(),
    })
}

fn slot(catalog: &Catalog, made: &[(TypeId, Vec<Datum>)], datum: &Datum) -> Value {
    match datum {
        Datum::Leaf(value) => value.clone(),
        Datum::Object(index) => Value::Object(data(catalog, made, *index)),
        Datum::List(items) => {
            Value::List(items.iter().map(|item| slot(catalog, made, item)).collect())
        }
        Datum::Null | Datum::Fail | Datum::Choose(_) | Datum::Echo => Value::Null,
    }
}

fn entity(index: usize, ty: TypeId, data: Arc<Object>) -> Arc<Entity> {
    let record = Record {
        source: "world".into(),
        entity: "".into(),
        remote_type: "".into(),
        remote_id: index.to_string().into(),
        data,
        links: Vec::new(),
        identifiers: Vec::new(),
        custom: Vec::new(),
        remote_url: None,
        created_at: None,
        updated_at: None,
        deleted: false,
        content_hash: "".into(),
    };
    let seed = Reading {
        record: Arc::new(record),
        fetched_at: DateTime::UNIX_EPOCH,
        expires_at: DateTime::UNIX_EPOCH,
        age: Age::Live,
    };
    Arc::new(Entity::of(ty, seed, ReadPolicy::CacheFirst))
}

fn datum_json(datum: &Datum) -> Json {
    match datum {
        Datum::Null => Json::Null,
        Datum::Fail => json!({"fail": true}),
        Datum::Leaf(value) => json!({"leaf": leaf_json(value)}),
        Datum::Object(index) => json!({"object": index}),
        Datum::List(items) => Json::Array(items.iter().map(datum_json).collect()),
        Datum::Choose(options) => {
            json!({"choose": options.iter().map(datum_json).collect::<Vec<_>>()})
        }
        Datum::Echo => json!({"echo": true}),
    }
}

fn leaf_json(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Text(text) => json!(&**text),
        Value::Json(text) => serde_json::from_str(text).unwrap(),
        Value::Null | Value::List(_) | Value::Object(_) => Json::Null,
    }
}

/// Coerced arguments as text: members sorted, numbers without regard to how they were written.
pub fn canonical(arguments: &Arguments) -> String {
    let members = arguments
        .0
        .iter()
        .map(|(name, value)| (name.to_string(), sorted(value)));
    Json::Object(members.collect()).to_string()
}

fn sorted(value: &Argument) -> Json {
    match value {
        Argument::Null => Json::Null,
        Argument::Number(number) => {
            let number = number.as_f64().unwrap();
            if number.fract() == 0.0 && number.abs() < 1e15 {
                json!(number as i64)
            } else {
                json!(number)
            }
        }
        Argument::String(text) => json!(text),
        Argument::Boolean(flag) => json!(flag),
        Argument::Enum(name) => json!(name.as_str()),
        Argument::List(items) => Json::Array(items.iter().map(sorted).collect()),
        Argument::Object(members) => {
            let members: BTreeMap<String, Json> = members
                .iter()
                .map(|(name, value)| (name.to_string(), sorted(value)))
                .collect();
            Json::Object(members.into_iter().collect())
        }
        Argument::Binary(_) => json!("binary"),
    }
}

/// FNV-1a.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
