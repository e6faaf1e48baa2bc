//! From a document to a plan: response keys with merged selections, one list of fields for every concrete type.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, Value};

use crate::auth::caller::Caller;
use crate::auth::scope::Requirement;
use crate::engine::coerce::{self, Variables};
use crate::record::value::TypeId;
use crate::resolve::argument::Arguments;
use crate::schema::{Catalog, FieldDef, Fill, TypeKind};

/// A planned operation.
#[derive(Debug)]
pub struct Plan {
    /// The root selection.
    pub root: Vec<Planned>,
    /// The root's type.
    pub root_type: TypeId,
    /// Introspection fields of the root, as they stand in the document.
    pub introspection: Vec<Positioned<Selection>>,
}

/// One response key of one concrete type.
#[derive(Debug)]
pub struct Planned {
    /// The response key.
    pub key: Arc<str>,
    /// What to do.
    pub kind: Kind,
    /// Where the field stands in the document.
    pub position: Pos,
}

/// What a response key stands for.
#[derive(Debug)]
pub enum Kind {
    /// `__typename`.
    TypeName,
    /// `__schema` or `__type`; the answer comes from the schema library.
    Introspection,
    /// A field of the graph.
    Field(PlannedField),
}

/// A field to resolve.
#[derive(Debug)]
pub struct PlannedField {
    /// Which field it is.
    pub at: FieldAt,
    /// Its coerced arguments.
    pub arguments: Arguments,
    /// What is selected on its value, by the value's type; empty for leaves.
    pub selection: BTreeMap<TypeId, Vec<Planned>>,
    /// Whether the value may not be null.
    pub non_null: bool,
    /// For lists, whether items may not be null.
    pub list: Option<bool>,
    /// What the caller lacks to see the field.
    pub denied: Option<String>,
}

/// Names a field without borrowing the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldAt {
    /// The type that has it.
    pub ty: TypeId,
    /// Its slot.
    pub slot: usize,
}

impl FieldAt {
    /// The field's definition.
    pub fn definition(self, catalog: &Catalog) -> Option<&FieldDef> {
        let def = catalog.get(self.ty)?;
        match &def.kind {
            TypeKind::Object(object) => object.fields.get(self.slot),
            TypeKind::Scalar { .. }
            | TypeKind::Enum(_)
            | TypeKind::Interface(_)
            | TypeKind::Union(_)
            | TypeKind::Input { .. } => None,
        }
    }
}

/// What plans are made from.
#[derive(Debug)]
pub struct Planner<'a> {
    /// The graph.
    pub catalog: &'a Catalog,
    /// The document, parsed and validated.
    pub document: &'a ExecutableDocument,
    /// The coerced variables.
    pub variables: &'a Variables,
    /// Who asks.
    pub caller: &'a Caller,
}

type Collected<'a> = Vec<(Arc<str>, Vec<&'a Positioned<Field>>)>;

impl<'a> Planner<'a> {
    /// Plans an operation. The guard has bounded the document, so recursion is bounded.
    pub fn plan(&self, operation: &'a OperationDefinition) -> Option<Plan> {
        let (root, _) = self.catalog.object("Query")?;
        let sets = [&operation.selection_set.node];
        let mut introspection = Vec::new();
        let collected = self.collect(root.id, &sets);
        for (key, fields) in &collected {
            let Some(first) = fields.first() else {
                continue;
            };
            if matches!(first.node.name.node.as_str(), "__schema" | "__type") {
                for field in fields {
                    let mut copy = Field::clone(&field.node);
                    copy.alias = Some(Positioned::new(Name::new(key), field.pos));
                    copy.directives.clear();
                    let field = Positioned::new(copy, field.pos);
                    introspection.push(Positioned::new(Selection::Field(field), first.pos));
                }
            }
        }
        Some(Plan {
            root: self.fields(root.id, collected),
            root_type: root.id,
            introspection,
        })
    }

    /// The selected fields of one concrete type, merged by response key, in document order.
    fn collect(&self, ty: TypeId, sets: &[&'a SelectionSet]) -> Collected<'a> {
        let mut collected = Collected::new();
        let mut index = HashMap::new();
        let mut seen = Vec::new();
        for set in sets {
            self.collect_into(ty, set, &mut collected, &mut index, &mut seen);
        }
        collected
    }

    fn collect_into(
        &self,
        ty: TypeId,
        set: &'a SelectionSet,
        collected: &mut Collected<'a>,
        index: &mut HashMap<Arc<str>, usize>,
        seen: &mut Vec<&'a str>,
    ) {
        for item in &set.items {
            if !self.is_included(item.node.directives()) {
                continue;
            }
            match &item.node {
                Selection::Field(field) => {
                    let key: Arc<str> = field.node.response_key().node.as_str().into();
                    let place = *index.entry(key.clone()).or_insert(collected.len());
                    match collected.get_mut(place) {
                        Some((_, fields)) => fields.push(field),
                        None => collected.push((key, vec![field])),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment
                        .node
                        .type_condition
                        .as_ref()
                        .map(|on| on.node.on.node.as_str());
                    if condition.is_none_or(|name| self.applies(name, ty)) {
                        self.collect_into(
                            ty,
                            &fragment.node.selection_set.node,
                            collected,
                            index,
                            seen,
                        );
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name) else {
                        continue;
                    };
                    if seen.contains(&name)
                        || !self.applies(fragment.node.type_condition.node.on.node.as_str(), ty)
                    {
                        continue;
                    }
                    seen.push(name);
                    self.collect_into(
                        ty,
                        &fragment.node.selection_set.node,
                        collected,
                        index,
                        seen,
                    );
                }
            }
        }
    }

    fn applies(&self, condition: &str, ty: TypeId) -> bool {
        self.catalog.possible(condition).contains(&ty)
    }

    fn is_included(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| {
            let flag = directive
                .node
                .get_argument("if")
                .map(|value| self.variables.resolve(&value.node));
            match directive.node.name.node.as_str() {
                "skip" => flag != Some(Some(Value::Boolean(true))),
                "include" => flag != Some(Some(Value::Boolean(false))),
                _ => true,
            }
        })
    }

    fn fields(&self, ty: TypeId, collected: Collected<'a>) -> Vec<Planned> {
        collected
            .into_iter()
            .filter_map(|(key, fields)| self.field(ty, key, &fields))
            .collect()
    }

    fn field(
        &self,
        ty: TypeId,
        key: Arc<str>,
        fields: &[&'a Positioned<Field>],
    ) -> Option<Planned> {
        let first = fields.first()?;
        let position = first.pos;
        let name = first.node.name.node.as_str();
        let kind = match name {
            "__typename" => Kind::TypeName,
            "__schema" | "__type" => Kind::Introspection,
            name => {
                let (_, object) = self.catalog.object(&self.catalog.get(ty)?.name)?;
                let def = object.field(name)?;
                let sets: Vec<&SelectionSet> = fields
                    .iter()
                    .map(|field| &field.node.selection_set.node)
                    .collect();
                Kind::Field(PlannedField {
                    at: FieldAt { ty, slot: def.slot },
                    arguments: coerce::arguments(
                        self.catalog,
                        def,
                        &first.node.arguments,
                        self.variables,
                    ),
                    selection: self.selection(def, &sets),
                    non_null: def.ty.non_null,
                    list: def.ty.list,
                    denied: self.denied(def),
                })
            }
        };
        Some(Planned {
            key,
            kind,
            position,
        })
    }

    fn selection(
        &self,
        def: &FieldDef,
        sets: &[&'a SelectionSet],
    ) -> BTreeMap<TypeId, Vec<Planned>> {
        if self.catalog.is_leaf(&def.ty.name) {
            return BTreeMap::new();
        }
        self.catalog
            .possible(&def.ty.name)
            .into_iter()
            .map(|ty| (ty, self.fields(ty, self.collect(ty, sets))))
            .collect()
    }

    /// What the caller lacks: the field's own scopes together with those of the type it leads to.
    fn denied(&self, def: &FieldDef) -> Option<String> {
        let own = Requirement {
            alternatives: def.requires.clone(),
        };
        let of_type = self
            .catalog
            .object(&def.ty.name)
            .map(|(def, _)| def.requires.clone())
            .unwrap_or_default();
        let needed = own.conjunction(&Requirement {
            alternatives: of_type,
        });
        (!needed.is_met_by(self.caller)).then(|| needed.refusal())
    }
}

/// What a plan can cost: each field counts one for each object that it can be asked on, with lists as long as the pages
/// asked for.
pub fn cost(catalog: &Catalog, planned: &[Planned], objects: u64) -> u64 {
    planned.iter().fold(0, |total: u64, planned| {
        let Kind::Field(field) = &planned.kind else {
            return total.saturating_add(objects);
        };
        let page = match field.arguments.get("first") {
            Some(Value::Number(number)) => number.as_u64().unwrap_or(1).max(1),
            _ => 1,
        };
        let is_connection = field.at.definition(catalog).is_some_and(|def| {
            def.arguments
                .iter()
                .any(|argument| &*argument.name == "first")
        });
        let inner = if is_connection {
            objects.saturating_mul(page)
        } else {
            objects
        };
        let below = field
            .selection
            .values()
            .map(|planned| cost(catalog, planned, inner))
            .max();
        total
            .saturating_add(objects)
            .saturating_add(below.unwrap_or(0))
    })
}

/// Names of the graph's fields that are selected on a type.
pub fn selected<'c>(catalog: &'c Catalog, planned: &[Planned]) -> Vec<&'c str> {
    planned
        .iter()
        .filter_map(|planned| match &planned.kind {
            Kind::Field(field) if field.denied.is_none() => {
                field.at.definition(catalog).map(|def| &*def.name)
            }
            Kind::Field(_) | Kind::TypeName | Kind::Introspection => None,
        })
        .collect()
}

/// Whether a field's value stands in its slot.
pub fn is_slot(def: &FieldDef) -> bool {
    matches!(def.fill, Fill::Mapped | Fill::Derived)
}
