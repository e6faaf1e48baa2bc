//! One caller's view of the graph: which fields are hidden or masked, and which rules hold for records.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::auth::scope::Requirement;
use crate::config::section::policy::MaskKind;
use crate::error::Code;
use crate::protocol::tree::Tree;
use crate::record::value::{Object, TypeId, Value};
use crate::resolve::FieldError;
use crate::resolve::condition::Condition;
use crate::resolve::policy::mask::masked;
use crate::resolve::policy::need::Needs;
use crate::resolve::policy::row::RowRule;
use crate::schema::{Catalog, Fill, Matches, ObjectDef, TypeDef};

/// Names a view: callers with equal keys get equal answers, but for what `viewer` tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewKey(pub [u8; 32]);

impl std::fmt::Debug for ViewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ViewKey")
            .field(&hex::encode(self.0))
            .finish()
    }
}

/// The masks on the fields of one object, by slot.
pub type Masks = BTreeMap<usize, MaskNode>;

/// The mask on a field, or the masks inside the objects it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskNode {
    /// A leaf.
    Leaf(MaskKind),
    /// The fields of nested objects.
    Inside(Masks),
}

/// One caller's view.
#[derive(Debug)]
pub struct View {
    /// Its name.
    pub key: ViewKey,
    pub(super) needs: Arc<Needs>,
    /// Fields that the caller lacks the scopes for.
    pub(super) denied: HashMap<(TypeId, usize), Requirement>,
    pub(super) denied_types: HashMap<TypeId, Requirement>,
    /// Denied fields that stand in the data of entities.
    pub(super) hides_data: bool,
    pub(super) masks: BTreeMap<TypeId, Masks>,
    /// Rules by entity; one of them must let a record through.
    pub(super) rules: BTreeMap<Arc<str>, Vec<Arc<RowRule>>>,
    pub(super) caller: Tree,
}

/// How much a caller sees of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// All of it.
    Whole,
    /// What a mask leaves.
    Masked(MaskKind),
    /// Nothing; the text says what is lacking.
    Denied(String),
}

impl View {
    /// What the caller lacks to see a field, or nothing.
    pub fn refusal(&self, ty: TypeId, slot: usize) -> Option<String> {
        self.denied.get(&(ty, slot)).map(Requirement::refusal)
    }

    /// Whether values of a concrete type may be seen, however they are reached.
    pub fn may_see_type(&self, ty: TypeId) -> bool {
        !self.denied_types.contains_key(&ty)
    }

    /// Whether there is any record that the caller does not see.
    pub fn screens(&self) -> bool {
        !self.rules.is_empty() || !self.denied_types.is_empty()
    }

    /// Whether records of an entity are subject to a rule.
    pub fn has_rule(&self, entity: &str) -> bool {
        self.rules.contains_key(entity)
    }

    /// How much is seen at a dotted path of an entity.
    pub fn access(&self, catalog: &Catalog, def: &TypeDef, path: &str) -> Access {
        let mut at = catalog.object(&def.name);
        let mut masks = self.masks.get(&def.id);
        for name in path.split('.') {
            let Some((owner, object)) = at else {
                return Access::Whole;
            };
            let Some(field) = object.field(name) else {
                return Access::Whole;
            };
            if let Some(refusal) = self.refusal(owner.id, field.slot) {
                return Access::Denied(refusal);
            }
            match masks.and_then(|masks| masks.get(&field.slot)) {
                Some(MaskNode::Leaf(kind)) => return Access::Masked(*kind),
                Some(MaskNode::Inside(inner)) => masks = Some(inner),
                None => masks = None,
            }
            at = catalog.object(&field.ty.name);
        }
        Access::Whole
    }

    /// Refuses to compare or order by what the caller may not see: the choice of records would tell the value.
    pub fn check_conditions(
        &self,
        catalog: &Catalog,
        target: (&TypeDef, &ObjectDef),
        conditions: &[Condition],
    ) -> Result<(), FieldError> {
        for condition in conditions {
            let path = match &condition.matches {
                Matches::Field(path) => path.clone(),
                Matches::Link(link) => {
                    let leads = |fill: &Fill| matches!(fill, Fill::Link(name) if **name == **link);
                    let fields = &target.1.fields;
                    match fields.iter().find(|field| leads(&field.fill)) {
                        Some(field) => field.name.to_string(),
                        None => continue,
                    }
                }
                Matches::Source => continue,
            };
            self.check_path(
                catalog,
                target.0,
                &path,
                &format!("filter `{}`", condition.name),
            )?;
        }
        Ok(())
    }

    /// Refuses when what stands at a path is denied or masked.
    pub fn check_path(
        &self,
        catalog: &Catalog,
        def: &TypeDef,
        path: &str,
        what: &str,
    ) -> Result<(), FieldError> {
        let why = match self.access(catalog, def, path) {
            Access::Whole => return Ok(()),
            Access::Masked(_) => "which you see masked only".to_owned(),
            Access::Denied(refusal) => refusal,
        };
        let message = format!("{what} compares `{}.{path}`: {why}", def.name);
        Err(FieldError::new(Code::Forbidden, message))
    }

    /// An entity's values as the caller may see them: denied ones are absent, masked ones are masked. Whatever is computed
    /// from the result can't tell more.
    pub fn shape(&self, catalog: &Catalog, data: &Arc<Object>) -> Arc<Object> {
        let masks = self.masks.get(&data.ty);
        if !self.hides_data && masks.is_none() {
            return data.clone();
        }
        self.shape_object(catalog, data, masks)
            .unwrap_or_else(|| data.clone())
    }

    /// The changed object, or nothing when nothing is to be changed.
    fn shape_object(
        &self,
        catalog: &Catalog,
        data: &Object,
        masks: Option<&Masks>,
    ) -> Option<Arc<Object>> {
        let (def, object) = catalog.type_of(data)?;
        let mut changed: Option<Object> = None;
        for field in &object.fields {
            let value = data.slot(field.slot);
            if matches!(value, Value::Null) {
                continue;
            }
            let new = if self.denied.contains_key(&(def.id, field.slot)) {
                Some(Value::Null)
            } else {
                match masks.and_then(|masks| masks.get(&field.slot)) {
                    Some(MaskNode::Leaf(kind)) => Some(masked(value, *kind, field.ty.non_null)),
                    Some(MaskNode::Inside(inner)) => self.shape_value(catalog, value, Some(inner)),
                    None if self.hides_data => self.shape_value(catalog, value, None),
                    None => None,
                }
            };
            if let Some(new) = new {
                let changed = changed.get_or_insert_with(|| data.clone());
                if let Some(place) = changed.slots.get_mut(field.slot) {
                    *place = new;
                }
            }
        }
        changed.map(Arc::new)
    }

    fn shape_value(
        &self,
        catalog: &Catalog,
        value: &Value,
        masks: Option<&Masks>,
    ) -> Option<Value> {
        match value {
            Value::Object(object) => self.shape_object(catalog, object, masks).map(Value::Object),
            Value::List(items) if items.iter().any(|item| matches!(item, Value::Object(_))) => {
                let shaped: Vec<Option<Value>> = items
                    .iter()
                    .map(|item| self.shape_value(catalog, item, masks))
                    .collect();
                let is_changed = shaped.iter().any(Option::is_some);
                is_changed.then(|| {
                    let pairs = shaped.into_iter().zip(items.iter());
                    Value::List(
                        pairs
                            .map(|(new, old)| new.unwrap_or_else(|| old.clone()))
                            .collect(),
                    )
                })
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Json(_) => None,
        }
    }

    /// The demands of the whole graph.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }
}
