//! The graph: `schema.graphql` and its extensions, read into a catalog that the whole engine is driven by.

pub mod dynamic;
pub mod load;
pub mod scalar;
pub mod sdl;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::Value as ConstValue;

use crate::record::value::{Object, TypeId, Value};

/// The graph that ships with the binary.
pub const SCHEMA: &str = include_str!("../../schema.graphql");

/// Every type of the graph.
#[derive(Debug)]
pub struct Catalog {
    types: Vec<TypeDef>,
    by_name: BTreeMap<Arc<str>, TypeId>,
    directives: Vec<async_graphql::parser::types::DirectiveDefinition>,
    /// Digest of the texts the catalog was read from; part of every cache key, since records depend on it.
    pub digest: Arc<str>,
}

/// One type.
#[derive(Debug)]
pub struct TypeDef {
    /// Its number.
    pub id: TypeId,
    /// Its name.
    pub name: Arc<str>,
    /// Its description.
    pub description: Option<String>,
    /// What kind of type it is.
    pub kind: TypeKind,
    /// Scopes a caller needs to see anything of this type: alternatives of conjunctions.
    pub requires: Vec<Vec<String>>,
}

/// The kinds of type.
#[derive(Debug)]
pub enum TypeKind {
    /// A leaf with a textual rule.
    Scalar {
        /// Where the format is specified.
        specified_by: Option<String>,
    },
    /// A closed set of names.
    Enum(Vec<EnumValue>),
    /// An object type.
    Object(ObjectDef),
    /// An interface.
    Interface(ObjectDef),
    /// A union of object types.
    Union(Vec<Arc<str>>),
    /// An input object.
    Input {
        /// Whether exactly one field must be given.
        one_of: bool,
        /// The fields.
        fields: Vec<InputDef>,
    },
}

/// One value of an enum.
#[derive(Debug)]
pub struct EnumValue {
    /// The value.
    pub name: Arc<str>,
    /// Its description.
    pub description: Option<String>,
    /// The record field that this sort order compares.
    pub sorts_by: Option<String>,
}

/// The fields of an object or interface.
#[derive(Debug)]
pub struct ObjectDef {
    /// Names of the implemented interfaces.
    pub implements: Vec<Arc<str>>,
    /// The fields, in order; a field's place is its slot in an [`Object`].
    pub fields: Vec<FieldDef>,
    /// Set when sources supply the type.
    pub entity: Option<EntityDef>,
}

impl ObjectDef {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&FieldDef> {
        self.fields.iter().find(|field| &*field.name == name)
    }
}

/// What is particular to an entity.
#[derive(Debug, Clone)]
pub struct EntityDef {
    /// What `Source.capabilities` calls it.
    pub entity_type: Option<Arc<str>>,
}

/// A field.
#[derive(Debug)]
pub struct FieldDef {
    /// Its name.
    pub name: Arc<str>,
    /// Its place in an [`Object`].
    pub slot: usize,
    /// Its description.
    pub description: Option<String>,
    /// Its type.
    pub ty: Ref,
    /// Its arguments.
    pub arguments: Vec<InputDef>,
    /// How it is filled.
    pub fill: Fill,
    /// Scopes a caller needs: alternatives of conjunctions.
    pub requires: Vec<Vec<String>>,
    /// The field that a list without a `sort` argument is ordered by, ascending.
    pub order: Option<String>,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    /// Whether its value depends on the moment or the caller, so that no answer with it is given twice.
    pub is_volatile: bool,
}

/// How a field gets its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// From its slot; for an entity, a connector file maps it.
    Mapped,
    /// From its slot, which the gateway fills from mapped values beside it.
    Derived,
    /// By behaviour written in Rust.
    Computed,
    /// By following a foreign key on this record.
    Link(Arc<str>),
    /// By asking for the records that point back with this link.
    By(Arc<str>),
    /// As a page over a list in the same slot.
    Embedded,
    /// A root field: one entity by id.
    Get,
    /// A root field: an entity over all its sources.
    List,
}

/// A reference to a type, with its wrappers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// The named type.
    pub name: Arc<str>,
    /// Whether the outermost value may not be null.
    pub non_null: bool,
    /// For a list, whether its items may not be null; lists of lists are flattened to one level by no type of ours.
    pub list: Option<bool>,
}

/// An argument or a field of an input object.
#[derive(Debug)]
pub struct InputDef {
    /// Its name.
    pub name: Arc<str>,
    /// Its description.
    pub description: Option<String>,
    /// Its type as written.
    pub ty: async_graphql::parser::types::Type,
    /// Its default.
    pub default: Option<ConstValue>,
    /// What of a record it compares, for a filter.
    pub matches: Option<Matches>,
}

/// What of a record a filter compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matches {
    /// A field, dotted for nested ones.
    Field(String),
    /// A foreign key; the filter's values are global ids.
    Link(String),
    /// The key of the source.
    Source,
}

impl Catalog {
    /// The type of that name.
    pub fn named(&self, name: &str) -> Option<&TypeDef> {
        self.by_name.get(name).and_then(|id| self.get(*id))
    }

    /// The type of that number.
    pub fn get(&self, id: TypeId) -> Option<&TypeDef> {
        self.types.get(usize::from(id.0))
    }

    /// Every type, in the order of the file.
    pub fn types(&self) -> &[TypeDef] {
        &self.types
    }

    /// The object type of that name.
    pub fn object(&self, name: &str) -> Option<(&TypeDef, &ObjectDef)> {
        let def = self.named(name)?;
        match &def.kind {
            TypeKind::Object(object) => Some((def, object)),
            TypeKind::Scalar { .. }
            | TypeKind::Enum(_)
            | TypeKind::Interface(_)
            | TypeKind::Union(_)
            | TypeKind::Input { .. } => None,
        }
    }

    /// The entity of that name.
    pub fn entity(&self, name: &str) -> Option<(&TypeDef, &ObjectDef)> {
        self.object(name)
            .filter(|(_, object)| object.entity.is_some())
    }

    /// Every entity.
    pub fn entities(&self) -> impl Iterator<Item = (&TypeDef, &ObjectDef)> {
        self.types.iter().filter_map(|def| self.entity(&def.name))
    }

    /// The values of the enum of that name.
    pub fn enum_values(&self, name: &str) -> Option<&[EnumValue]> {
        match &self.named(name)?.kind {
            TypeKind::Enum(values) => Some(values),
            TypeKind::Scalar { .. }
            | TypeKind::Object(_)
            | TypeKind::Interface(_)
            | TypeKind::Union(_)
            | TypeKind::Input { .. } => None,
        }
    }

    /// The fields of the input object of that name.
    pub fn input(&self, name: &str) -> Option<&[InputDef]> {
        match &self.named(name)?.kind {
            TypeKind::Input { fields, .. } => Some(fields),
            TypeKind::Scalar { .. }
            | TypeKind::Object(_)
            | TypeKind::Interface(_)
            | TypeKind::Union(_)
            | TypeKind::Enum(_) => None,
        }
    }

    /// Whether a value of the type is written without a selection.
    pub fn is_leaf(&self, name: &str) -> bool {
        self.named(name)
            .is_none_or(|def| matches!(def.kind, TypeKind::Scalar { .. } | TypeKind::Enum(_)))
    }

    /// Names of the object types that a value of the type can have.
    pub fn possible(&self, name: &str) -> Vec<TypeId> {
        let Some(def) = self.named(name) else {
            return Vec::new();
        };
        match &def.kind {
            TypeKind::Object(_) => vec![def.id],
            TypeKind::Union(members) => members
                .iter()
                .filter_map(|member| self.by_name.get(member).copied())
                .collect(),
            TypeKind::Interface(_) => self
                .types
                .iter()
                .filter(|other| match &other.kind {
                    TypeKind::Object(object) => object.implements.contains(&def.name),
                    _ => false,
                })
                .map(|other| other.id)
                .collect(),
            TypeKind::Scalar { .. } | TypeKind::Enum(_) | TypeKind::Input { .. } => Vec::new(),
        }
    }

    /// Starts an object of that type, with every slot null.
    pub fn build(&self, name: &str) -> Builder<'_> {
        let found = self.object(name);
        let slots = found.map_or(0, |(_, object)| object.fields.len());
        Builder {
            def: found.map(|(_, object)| object),
            object: Object {
                ty: found.map_or(TypeId(u16::MAX), |(def, _)| def.id),
                slots: vec![Value::Null; slots].into_boxed_slice(),
            },
        }
    }

    /// The type of an object's value.
    pub fn type_of(&self, object: &Object) -> Option<(&TypeDef, &ObjectDef)> {
        self.get(object.ty).and_then(|def| self.object(&def.name))
    }

    /// The value of the field of that name.
    pub fn read<'a>(&self, object: &'a Object, field: &str) -> Option<&'a Value> {
        let (_, def) = self.type_of(object)?;
        Some(object.slot(def.field(field)?.slot))
    }
}

/// Fills an object by field names.
#[derive(Debug)]
pub struct Builder<'c> {
    def: Option<&'c ObjectDef>,
    object: Object,
}

impl Builder<'_> {
    /// Sets one field. A test holds every name that is set against the schema, so a missing one is a defect there, not here.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(slot) = self
            .def
            .and_then(|def| def.field(field))
            .map(|field| field.slot)
            && let Some(place) = self.object.slots.get_mut(slot)
        {
            *place = value.into();
        }
        self
    }

    /// The finished object.
    pub fn finish(self) -> Arc<Object> {
        Arc::new(self.object)
    }

    /// The finished object as a value.
    pub fn value(self) -> Value {
        Value::Object(self.finish())
    }
}
