//! What the graph demands of who reads a field, with all that the field leads to and is made from.

use std::collections::{BTreeSet, HashMap};

use crate::auth::scope::Requirement;
use crate::record::value::TypeId;
use crate::schema::{Catalog, FieldDef, Fill, ObjectDef, TypeDef, TypeKind};

/// The demands of every field and type that has some.
#[derive(Debug, Default)]
pub struct Needs {
    /// By type and slot.
    pub fields: HashMap<(TypeId, usize), Requirement>,
    /// By type, for whoever reaches it through an interface or a union.
    pub types: HashMap<TypeId, Requirement>,
}

fn of(alternatives: &[Vec<String>]) -> Requirement {
    Requirement {
        alternatives: alternatives.to_vec(),
    }
}

impl Needs {
    /// Gathers the demands of a graph.
    pub fn of(catalog: &Catalog) -> Self {
        let mut needs = Self::default();
        for def in catalog.types() {
            let TypeKind::Object(object) = &def.kind else {
                continue;
            };
            let own = type_need(catalog, def, object);
            if !own.alternatives.is_empty() {
                needs.types.insert(def.id, own);
            }
            for field in &object.fields {
                let need = field_need(catalog, object, field);
                if !need.alternatives.is_empty() {
                    needs.fields.insert((def.id, field.slot), need);
                }
            }
        }
        needs
    }

    /// Every scope that is asked for somewhere.
    pub fn scopes(&self) -> BTreeSet<String> {
        let all = self.fields.values().chain(self.types.values());
        all.flat_map(|need| need.alternatives.iter().flatten().cloned())
            .collect()
    }
}

/// A type's own demand together with those of its interfaces.
fn type_need(catalog: &Catalog, def: &TypeDef, object: &ObjectDef) -> Requirement {
    let interfaces = object
        .implements
        .iter()
        .filter_map(|name| catalog.named(name));
    interfaces.fold(of(&def.requires), |need, interface| {
        need.conjunction(&of(&interface.requires))
    })
}

/// What a field of an object demands.
pub fn field_need(catalog: &Catalog, object: &ObjectDef, field: &FieldDef) -> Requirement {
    let mut need = of(&field.requires);
    for name in &object.implements {
        if let Some(TypeKind::Interface(interface)) = catalog.named(name).map(|def| &def.kind)
            && let Some(same) = interface.field(&field.name)
        {
            need = need.conjunction(&of(&same.requires));
        }
    }
    need = need.conjunction(&value_need(catalog, &field.ty.name));
    // A count or a cursor of a list tells about its nodes.
    if let Some((_, connection)) = catalog.object(&field.ty.name)
        && let Some(nodes) = connection
            .field("nodes")
            .or_else(|| connection.field("node"))
    {
        need = need.conjunction(&of(&nodes.requires));
        need = need.conjunction(&value_need(catalog, &nodes.ty.name));
    }
    if field.fill == Fill::Derived
        && catalog.is_leaf(&field.ty.name)
        && &*field.ty.name != "Boolean"
    {
        for sibling in &object.fields {
            if sibling.fill == Fill::Mapped && catalog.is_leaf(&sibling.ty.name) {
                need = need.conjunction(&of(&sibling.requires));
            }
        }
    }
    need
}

/// What the type of a value demands. Of an interface or a union it is the type's own demand; that of the concrete type is
/// held against the value.
fn value_need(catalog: &Catalog, name: &str) -> Requirement {
    let Some(def) = catalog.named(name) else {
        return Requirement::default();
    };
    match &def.kind {
        TypeKind::Object(object) => type_need(catalog, def, object),
        TypeKind::Scalar { .. }
        | TypeKind::Enum(_)
        | TypeKind::Interface(_)
        | TypeKind::Union(_)
        | TypeKind::Input { .. } => of(&def.requires),
    }
}
