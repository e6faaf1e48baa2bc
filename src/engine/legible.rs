//! Rewrites documents into others of the same meaning that the library validates as the specification demands.

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, InlineFragment, Selection, SelectionSet, TypeCondition,
};
use async_graphql::{Name, Pos, Positioned};

use crate::schema::{Catalog, TypeKind};

/// Mends what the library overlooks. It passes over `__typename` with all that is on it, so that a variable used nowhere
/// else would count as unused and an unknown one as known: its directives move to an inline fragment around it. And it
/// forgets the type of the selection in an inline fragment without a condition, so that fields of different types would
/// conflict: such a fragment gets the condition that it stands under.
pub fn legible(catalog: &Catalog, mut document: ExecutableDocument) -> ExecutableDocument {
    for fragment in document.fragments.values_mut() {
        let on = fragment.node.type_condition.node.on.node.clone();
        rewrite(catalog, Some(&on), &mut fragment.node.selection_set.node);
    }
    let root = Name::new("Query");
    match &mut document.operations {
        DocumentOperations::Single(operation) => {
            rewrite(catalog, Some(&root), &mut operation.node.selection_set.node);
        }
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                rewrite(catalog, Some(&root), &mut operation.node.selection_set.node);
            }
        }
    }
    document
}

/// The guard has bounded the document, so recursion is bounded.
fn rewrite(catalog: &Catalog, ty: Option<&Name>, set: &mut SelectionSet) {
    for item in &mut set.items {
        let at = item.pos;
        match &mut item.node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                let directives = std::mem::take(&mut field.node.directives);
                if !directives.is_empty() {
                    let only = Positioned::new(Selection::Field(field.clone()), at);
                    let around = InlineFragment {
                        type_condition: ty.map(|name| condition(name, at)),
                        directives,
                        selection_set: Positioned::new(SelectionSet { items: vec![only] }, at),
                    };
                    item.node = Selection::InlineFragment(Positioned::new(around, at));
                }
            }
            Selection::Field(field) => {
                let below = ty.and_then(|name| type_of(catalog, name, &field.node.name.node));
                let set = &mut field.node.selection_set.node;
                rewrite(catalog, below.as_ref(), set);
            }
            Selection::InlineFragment(fragment) => {
                let fragment = &mut fragment.node;
                if fragment.type_condition.is_none() {
                    fragment.type_condition = ty.map(|name| condition(name, at));
                }
                let on = fragment.type_condition.as_ref();
                let on = on.map(|condition| condition.node.on.node.clone());
                rewrite(catalog, on.as_ref(), &mut fragment.selection_set.node);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn condition(name: &Name, at: Pos) -> Positioned<TypeCondition> {
    let on = Positioned::new(name.clone(), at);
    Positioned::new(TypeCondition { on }, at)
}

/// The type that a field leads to; nothing for a field that is not there or for introspection.
fn type_of(catalog: &Catalog, ty: &Name, field: &Name) -> Option<Name> {
    match &catalog.named(ty)?.kind {
        TypeKind::Object(object) | TypeKind::Interface(object) => {
            Some(Name::new(&object.field(field)?.ty.name))
        }
        TypeKind::Scalar { .. }
        | TypeKind::Enum(_)
        | TypeKind::Union(_)
        | TypeKind::Input { .. } => None,
    }
}
