//! What the graph says about an entity that connector files must fit.

use std::sync::Arc;

use crate::schema::{Catalog, EnumValue, Fill, InputDef, ObjectDef, TypeDef, TypeKind};

/// The type of the nodes of a connection.
pub(crate) fn node_of<'c>(
    catalog: &'c Catalog,
    name: &str,
) -> Option<(&'c TypeDef, &'c ObjectDef)> {
    let (_, connection) = catalog.object(name)?;
    catalog.object(&connection.field("nodes")?.ty.name)
}

/// The relations that an entity's records may have keys for: those it follows, and those by which others find it.
pub(crate) fn links(catalog: &Catalog, entity: &str) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut add = |name: &Arc<str>| {
        if !names.contains(name) {
            names.push(name.clone());
        }
    };
    if let Some((_, object)) = catalog.object(entity) {
        for field in &object.fields {
            if let Fill::Link(link) = &field.fill {
                add(link);
            }
        }
    }
    for def in catalog.types() {
        let (TypeKind::Object(object) | TypeKind::Interface(object)) = &def.kind else {
            continue;
        };
        for field in &object.fields {
            if let Fill::By(link) = &field.fill
                && node_of(catalog, &field.ty.name).is_some_and(|(node, _)| &*node.name == entity)
            {
                add(link);
            }
        }
    }
    names
}

/// The filters of an entity: those of its list and of every relation that leads to it.
pub(crate) fn filters<'c>(catalog: &'c Catalog, entity: &str) -> &'c [InputDef] {
    catalog
        .input(&format!("{entity}Filter"))
        .unwrap_or_default()
}

/// The orders of an entity.
pub(crate) fn sorts<'c>(catalog: &'c Catalog, entity: &str) -> &'c [EnumValue] {
    catalog
        .enum_values(&format!("{entity}SortField"))
        .unwrap_or_default()
}

/// The name of an operation by a link: `byCustomer` for `customer`.
pub(crate) fn by(link: &str) -> String {
    let mut chars = link.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    format!(
        "by{}{}",
        first.map(String::from).unwrap_or_default(),
        chars.as_str()
    )
}
