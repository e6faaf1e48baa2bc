//! Maps one item of a reply to a record; nothing of the reply is copied but the values that are kept.

use std::sync::Arc;

use crate::connector::content;
use crate::connector::convert::{Leaf, Wrong};
use crate::connector::identifier::IdentifierMap;
use crate::connector::language::expression::{Expression, Outcome, Scope};
use crate::connector::rule::{Breach, Broken, Rule};
use crate::protocol::tree::Tree;
use crate::protocol::url::percent_encode;
use crate::record::email;
use crate::record::value::{Object, TypeId, Value};
use crate::record::{CustomValue, Identifier, Record};

/// Items of one list within a record that are mapped.
pub(crate) const LIST_ITEMS_MAX: usize = 10_000;

/// How the records of one entity are made.
#[derive(Debug)]
pub(crate) struct RecordMap {
    pub(crate) source: Arc<str>,
    pub(crate) entity: Arc<str>,
    pub(crate) remote_type: Arc<str>,
    pub(crate) id: Expression,
    pub(crate) url: Option<UrlMap>,
    pub(crate) deleted: Option<Expression>,
    pub(crate) object: ObjectMap,
    pub(crate) links: Vec<LinkMap>,
    pub(crate) custom: Vec<CustomMap>,
    pub(crate) identifiers: Vec<IdentifierMap>,
    pub(crate) rules: Vec<Rule>,
    /// The slots of `createdAt` and `updatedAt`.
    pub(crate) times: (Option<usize>, Option<usize>),
}

/// A link and its keys, as records hold them.
type LinkKeys = (Arc<str>, Vec<Arc<str>>);

/// A foreign key.
#[derive(Debug)]
pub(crate) struct LinkMap {
    pub(crate) name: Arc<str>,
    pub(crate) from: Expression,
}

/// A value outside the graph's own fields.
#[derive(Debug)]
pub(crate) struct CustomMap {
    pub(crate) key: Arc<str>,
    pub(crate) label: Option<Arc<str>>,
    pub(crate) kind: Arc<str>,
    pub(crate) from: Expression,
    pub(crate) leaf: Leaf,
    pub(crate) is_list: bool,
}

/// An address with values in it.
#[derive(Debug)]
pub(crate) struct UrlMap(pub(crate) Vec<UrlPart>);

/// A piece of an address.
#[derive(Debug)]
pub(crate) enum UrlPart {
    Literal(Box<str>),
    Value(Expression),
}

/// How an object of the graph is filled.
#[derive(Debug)]
pub(crate) struct ObjectMap {
    pub(crate) ty: TypeId,
    pub(crate) slots: usize,
    pub(crate) fields: Vec<FieldMap>,
    /// What slots hold that the file does not map.
    pub(crate) fill: Vec<(usize, Value)>,
    /// Slots that must not be null.
    pub(crate) required: Vec<(usize, Arc<str>)>,
    /// The slot without which there is no object, such as the amount of money.
    pub(crate) anchor: Option<usize>,
    pub(crate) derive: Derive,
}

/// What is filled from values beside it.
#[derive(Debug)]
pub(crate) enum Derive {
    Nothing,
    Email {
        address: usize,
        normalized: usize,
        shared: usize,
    },
    Phone {
        raw: usize,
        country: usize,
        e164: usize,
        /// `raw | phone(country)`
        parse: Box<Expression>,
    },
}

/// How one field is filled.
#[derive(Debug)]
pub(crate) struct FieldMap {
    pub(crate) slot: usize,
    pub(crate) name: Arc<str>,
    pub(crate) source: FieldSource,
}

/// Where a field's value comes from.
#[derive(Debug)]
pub(crate) enum FieldSource {
    Constant(Value),
    Leaf(LeafMap),
    Leaves(LeafMap),
    Object(Box<ObjectMap>),
    Objects(Vec<Part>),
}

/// A part of a list of objects.
#[derive(Debug)]
pub(crate) enum Part {
    One(ObjectMap),
    Each(Expression, ObjectMap),
}

/// An expression and what to make of its value.
#[derive(Debug)]
pub(crate) struct LeafMap {
    pub(crate) from: Expression,
    pub(crate) leaf: Leaf,
    /// Raw texts and their values.
    pub(crate) table: Vec<(Box<str>, Value)>,
    pub(crate) otherwise: Option<Value>,
    pub(crate) default: Option<Value>,
    /// The slot that takes the raw text.
    pub(crate) raw: Option<usize>,
}

/// Why an item is no record.
#[derive(Debug)]
pub(crate) struct MapError {
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl MapError {
    fn at(path: impl Into<String>) -> impl FnOnce(Wrong) -> Self {
        let path = path.into();
        move |reason| Self { path, reason }
    }

    fn under(mut self, name: &str) -> Self {
        self.path = format!("{name}.{}", self.path);
        self
    }
}

/// Evaluates an expression; the reason of a failure holds no value.
pub(crate) fn evaluate<'a>(
    expression: &Expression,
    scope: &Scope<'a>,
) -> Result<Outcome<'a>, Wrong> {
    expression
        .evaluate(scope)
        .map_err(|error| error.to_string())
}

impl RecordMap {
    /// The vendor's id of an item.
    pub(crate) fn id_of(&self, scope: &Scope<'_>) -> Result<Arc<str>, MapError> {
        let outcome = evaluate(&self.id, scope).map_err(MapError::at("id"))?;
        match Leaf::Id.convert(&outcome.value, outcome.exact) {
            Ok(Value::Text(id)) => Ok(id),
            Ok(_) => Err(MapError::at("id")("is missing".to_owned())),
            Err(reason) => Err(MapError::at("id")(reason)),
        }
    }

    /// Maps one item; rules that it breaks without being refused are noted.
    pub(crate) fn map(
        &self,
        item: &Tree,
        root: &Tree,
        notes: &mut Vec<Broken>,
    ) -> Result<Record, MapError> {
        let scope = Scope {
            root: Some(root),
            ..Scope::of(item)
        };
        let before: Vec<Option<Broken>> =
            self.rules.iter().map(|rule| rule.before(&scope)).collect();
        if let Some(refusing) = before
            .iter()
            .flatten()
            .find(|one| one.breach == Breach::Refuse)
        {
            return Err(MapError::at(&*refusing.path)(refusing.reason.clone()));
        }
        let remote_id = self.id_of(&scope)?;
        let (mut object, _) = self.object.fill(&scope)?;
        self.judge(&mut object, before, notes)?;
        let text = |slot: Option<usize>| match slot.map(|slot| object.slot(slot)) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let (created_at, updated_at) = (text(self.times.0), text(self.times.1));
        let mut record = Record {
            source: self.source.clone(),
            entity: self.entity.clone(),
            remote_type: self.remote_type.clone(),
            remote_id,
            data: Arc::new(object),
            links: self.map_links(&scope)?,
            identifiers: self.map_identifiers(&scope)?,
            custom: self.map_custom(&scope)?,
            remote_url: match &self.url {
                Some(url) => url.render(&scope)?,
                None => None,
            },
            created_at,
            updated_at,
            deleted: match &self.deleted {
                Some(deleted) => evaluate(deleted, &scope)
                    .map_err(MapError::at("deleted"))?
                    .is_true(),
                None => false,
            },
            content_hash: "".into(),
        };
        record.content_hash = content::hash_of(&record);
        Ok(record)
    }

    /// Holds the record to the rules; what is wrong with it is nulled or noted, or refuses it.
    fn judge(
        &self,
        object: &mut Object,
        before: Vec<Option<Broken>>,
        notes: &mut Vec<Broken>,
    ) -> Result<(), MapError> {
        for (rule, before) in self.rules.iter().zip(before) {
            let Some(broken) = before.or_else(|| rule.after(object)) else {
                continue;
            };
            match (broken.breach, &rule.field) {
                (Breach::Refuse, _) => return Err(MapError::at(broken.path)(broken.reason)),
                (Breach::Null, Some(field)) => field.clear(object),
                (Breach::Null, None) | (Breach::Warn, _) => {}
            }
            notes.push(broken);
        }
        Ok(())
    }

    /// The keys of a link of an item.
    pub(crate) fn link_of(&self, name: &str, scope: &Scope<'_>) -> Result<Vec<Arc<str>>, MapError> {
        match self.links.iter().find(|link| &*link.name == name) {
            Some(link) => texts(&link.from, scope).map_err(MapError::at(format!("links.{name}"))),
            None => Ok(Vec::new()),
        }
    }

    fn map_links(&self, scope: &Scope<'_>) -> Result<Vec<LinkKeys>, MapError> {
        let mut links = Vec::with_capacity(self.links.len());
        for link in &self.links {
            let keys =
                texts(&link.from, scope).map_err(MapError::at(format!("links.{}", link.name)))?;
            if !keys.is_empty() {
                links.push((link.name.clone(), keys));
            }
        }
        Ok(links)
    }

    fn map_custom(&self, scope: &Scope<'_>) -> Result<Vec<CustomValue>, MapError> {
        let mut values = Vec::with_capacity(self.custom.len());
        for custom in &self.custom {
            let at = || MapError::at(format!("custom.{}", custom.key));
            let outcome = evaluate(&custom.from, scope).map_err(at())?;
            let value = if custom.is_list {
                let values = convert_all(&custom.leaf, &outcome).map_err(at())?;
                Value::List(values.into())
            } else {
                custom
                    .leaf
                    .convert(&outcome.value, outcome.exact)
                    .map_err(at())?
            };
            if !value.is_blank() {
                values.push(CustomValue {
                    key: custom.key.clone(),
                    label: custom.label.clone(),
                    kind: custom.kind.clone(),
                    value,
                });
            }
        }
        Ok(values)
    }

    fn map_identifiers(&self, scope: &Scope<'_>) -> Result<Vec<Identifier>, MapError> {
        let mut identifiers: Vec<Identifier> = Vec::new();
        for map in &self.identifiers {
            let found = map.find(scope).map_err(MapError::at("identifiers"))?;
            for identifier in found {
                let known = |other: &Identifier| {
                    (other.kind, &other.namespace, &other.normalized)
                        == (
                            identifier.kind,
                            &identifier.namespace,
                            &identifier.normalized,
                        )
                };
                if !identifiers.iter().any(known) {
                    identifiers.push(identifier);
                }
            }
        }
        Ok(identifiers)
    }
}

/// The keys that an expression gives: one, several or none.
pub(crate) fn texts(from: &Expression, scope: &Scope<'_>) -> Result<Vec<Arc<str>>, Wrong> {
    let outcome = evaluate(from, scope)?;
    let mut keys: Vec<Arc<str>> = Vec::new();
    for value in convert_all(&Leaf::Id, &outcome)? {
        if let Value::Text(text) = value
            && !keys.contains(&text)
        {
            keys.push(text);
        }
    }
    Ok(keys)
}

fn convert_all(leaf: &Leaf, outcome: &Outcome<'_>) -> Result<Vec<Value>, Wrong> {
    let mut values = Vec::new();
    for value in items(&outcome.value) {
        let value = leaf.convert(value, outcome.exact)?;
        if value != Value::Null {
            values.push(value);
        }
    }
    if values.len() > LIST_ITEMS_MAX {
        return Err(format!("has more than {LIST_ITEMS_MAX} items"));
    }
    Ok(values)
}

/// The items of a list; a single value is a list of one, since XML does not tell them apart; null is none.
pub(crate) fn items(value: &Tree) -> &[Tree] {
    match value {
        Tree::List(items) => items,
        Tree::Null => &[],
        one => std::slice::from_ref(one),
    }
}

impl UrlMap {
    /// The address; null when a value is missing. Values can't leave their place: all but a whole address is encoded.
    fn render(&self, scope: &Scope<'_>) -> Result<Option<Arc<str>>, MapError> {
        let whole = self.0.len() == 1;
        let mut text = String::new();
        for part in &self.0 {
            match part {
                UrlPart::Literal(literal) => text.push_str(literal),
                UrlPart::Value(expression) => {
                    let outcome = evaluate(expression, scope).map_err(MapError::at("url"))?;
                    let value = Leaf::Id
                        .convert(&outcome.value, outcome.exact)
                        .map_err(MapError::at("url"))?;
                    match value.as_text() {
                        Some(value) if whole => text.push_str(value),
                        Some(value) => text.push_str(&percent_encode(value)),
                        None => return Ok(None),
                    }
                }
            }
        }
        match Leaf::Url.convert(&Tree::from(text), true) {
            Ok(Value::Text(url)) => Ok(Some(url)),
            Ok(_) => Ok(None),
            Err(reason) => Err(MapError::at("url")(reason)),
        }
    }
}

impl ObjectMap {
    /// Fills an object, and tells whether the reply supplied anything of it.
    fn fill(&self, scope: &Scope<'_>) -> Result<(Object, bool), MapError> {
        let mut slots = vec![Value::Null; self.slots].into_boxed_slice();
        for (slot, value) in &self.fill {
            set(&mut slots, *slot, value.clone());
        }
        let mut is_present = false;
        for field in &self.fields {
            is_present |= field.fill(&mut slots, scope)?;
        }
        let mut object = Object { ty: self.ty, slots };
        let has_anchor = self.anchor.is_none_or(|slot| !object.slot(slot).is_blank());
        if !is_present || !has_anchor {
            return Ok((object, false));
        }
        self.derive.fill(&mut object);
        for (slot, name) in &self.required {
            if *object.slot(*slot) == Value::Null {
                return Err(MapError::at(&**name)("is missing".to_owned()));
            }
        }
        Ok((object, true))
    }

    /// The object as a value; null when the reply supplies nothing of it.
    fn value(&self, scope: &Scope<'_>) -> Result<Value, MapError> {
        let (object, is_present) = self.fill(scope)?;
        Ok(if is_present {
            Value::Object(Arc::new(object))
        } else {
            Value::Null
        })
    }
}

fn set(slots: &mut [Value], slot: usize, value: Value) {
    if let Some(place) = slots.get_mut(slot) {
        *place = value;
    }
}

impl FieldMap {
    fn fill(&self, slots: &mut [Value], scope: &Scope<'_>) -> Result<bool, MapError> {
        let value = match &self.source {
            FieldSource::Constant(value) => {
                set(slots, self.slot, value.clone());
                return Ok(false);
            }
            FieldSource::Leaf(leaf) => {
                let (value, is_present) =
                    leaf.fill(slots, scope).map_err(MapError::at(&*self.name))?;
                set(slots, self.slot, value);
                return Ok(is_present);
            }
            FieldSource::Leaves(leaf) => {
                Value::List(leaf.all(scope).map_err(MapError::at(&*self.name))?.into())
            }
            FieldSource::Object(map) => {
                map.value(scope).map_err(|error| error.under(&self.name))?
            }
            FieldSource::Objects(parts) => {
                let mut list = Vec::new();
                for part in parts {
                    part.fill(&mut list, scope)
                        .map_err(|error| error.under(&self.name))?;
                }
                Value::List(list.into())
            }
        };
        let is_present = !value.is_blank();
        set(slots, self.slot, value);
        Ok(is_present)
    }
}

impl Part {
    fn fill(&self, list: &mut Vec<Value>, scope: &Scope<'_>) -> Result<(), MapError> {
        let (over, map) = match self {
            Self::One(map) => {
                let value = map.value(scope)?;
                list.extend((value != Value::Null).then_some(value));
                return Ok(());
            }
            Self::Each(over, map) => (over, map),
        };
        let outcome = evaluate(over, scope).map_err(MapError::at("each"))?;
        let found = items(&outcome.value);
        if found.len() > LIST_ITEMS_MAX {
            let reason = format!("has more than {LIST_ITEMS_MAX} items");
            return Err(MapError::at("each")(reason));
        }
        for (at, item) in found.iter().enumerate() {
            let inner = Scope {
                item,
                root: scope.root,
                parent: Some(scope.item),
                extra: &[],
            };
            let value = map
                .value(&inner)
                .map_err(|error| error.under(&at.to_string()))?;
            list.extend((value != Value::Null).then_some(value));
        }
        Ok(())
    }
}

impl LeafMap {
    /// The value, with the raw text put beside it; and whether the reply supplied it.
    fn fill(&self, slots: &mut [Value], scope: &Scope<'_>) -> Result<(Value, bool), Wrong> {
        let outcome = evaluate(&self.from, scope)?;
        let (value, is_present) = self.convert(&outcome.value, outcome.exact)?;
        if let (Some(raw), true) = (self.raw, is_present)
            && let Some(text) = outcome.value.as_text()
        {
            set(slots, raw, Value::Text(text.trim().into()));
        }
        Ok((value, is_present))
    }

    fn all(&self, scope: &Scope<'_>) -> Result<Vec<Value>, Wrong> {
        let outcome = evaluate(&self.from, scope)?;
        let mut values = Vec::new();
        for item in items(&outcome.value).iter().take(LIST_ITEMS_MAX) {
            let (value, is_present) = self.convert(item, outcome.exact)?;
            values.extend((is_present && !value.is_blank()).then_some(value));
        }
        Ok(values)
    }

    fn convert(&self, value: &Tree, exact: bool) -> Result<(Value, bool), Wrong> {
        let raw = value.as_text();
        let raw = raw.as_deref().map(str::trim).filter(|raw| !raw.is_empty());
        let is_mapped = !self.table.is_empty() || self.otherwise.is_some();
        let converted = match raw {
            Some(raw) if is_mapped => match (self.look_up(raw), &self.otherwise) {
                (Some(value), _) | (None, Some(value)) => value.clone(),
                (None, None) => self.leaf.convert(value, exact)?,
            },
            _ => self.leaf.convert(value, exact)?,
        };
        if converted != Value::Null {
            return Ok((converted, true));
        }
        let absent = match (&self.default, &self.leaf) {
            (Some(default), _) => default.clone(),
            (None, Leaf::Enum(leaf)) => leaf.absent(),
            (None, _) => Value::Null,
        };
        Ok((absent, false))
    }

    fn look_up(&self, raw: &str) -> Option<&Value> {
        let exact = self.table.iter().find(|(key, _)| &**key == raw);
        exact
            .or_else(|| {
                self.table
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(raw))
            })
            .map(|(_, value)| value)
    }
}

impl Derive {
    fn fill(&self, object: &mut Object) {
        match self {
            Self::Nothing => {}
            Self::Email {
                address,
                normalized,
                shared,
            } => {
                let Some(text) = object.slot(*address).as_text() else {
                    return;
                };
                let key = email::match_key(text);
                let is_shared = key.as_deref().is_some_and(email::is_shared);
                let key = key.unwrap_or_else(|| text.trim().to_lowercase());
                set(&mut object.slots, *normalized, Value::Text(key.into()));
                set(&mut object.slots, *shared, Value::Bool(is_shared));
            }
            Self::Phone {
                raw,
                country,
                e164,
                parse,
            } => {
                let text = |slot: usize| object.slot(slot).as_text().map_or(Tree::Null, Tree::from);
                let (number, country) = (text(*raw), text(*country));
                let extra = [("raw", &number), ("country", &country)];
                let scope = Scope {
                    extra: &extra,
                    ..Scope::of(&Tree::Null)
                };
                // A number that can't be parsed with certainty has no E.164 form, and that is all.
                let parsed = parse.evaluate(&scope).ok();
                let parsed = parsed.as_ref().and_then(|outcome| outcome.value.as_text());
                if let Some(parsed) = parsed {
                    set(
                        &mut object.slots,
                        *e164,
                        Value::Text(parsed.as_ref().into()),
                    );
                }
            }
        }
    }
}
