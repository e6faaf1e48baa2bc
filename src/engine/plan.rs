//! From a document to a plan: response keys with merged selections, one list of fields for every concrete type.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, ServerError, Value};
use async_graphql_value::Value as Template;

use crate::auth::scope::Requirement;
use crate::engine::bind;
use crate::engine::coerce::{self, Variables};
use crate::record::value::TypeId;
use crate::resolve::argument::Arguments;
use crate::resolve::policy::need::field_need;
use crate::schema::{Catalog, FieldDef, Fill, ObjectDef, TypeKind};

/// A planned operation. It depends on the document and on the variables that decide `@skip` and `@include`, on nothing
/// else of a request: other variables and the caller come in when it is bound.
#[derive(Debug)]
pub struct Plan {
    /// The root selection.
    pub root: Vec<Planned>,
    /// The root's type.
    pub root_type: TypeId,
    /// Introspection fields of the root, as they stand in the document.
    pub introspection: Vec<Positioned<Selection>>,
    /// Arguments that variables are put into, as [`ArgumentsAt::Bound`] numbers them.
    pub templates: Vec<ArgumentTemplates>,
    /// What fields demand of their reader, as [`PlannedField::requirement`] numbers it.
    pub requirements: Vec<Requirement>,
    /// Whether an answer holds for its moment or its caller only.
    pub is_volatile: bool,
}

/// The arguments of a field as the document has them.
#[derive(Debug)]
pub struct ArgumentTemplates {
    /// The field.
    pub at: FieldAt,
    /// The given arguments.
    pub given: Vec<(Name, Template)>,
}

/// Where the coerced arguments of a field are.
#[derive(Debug)]
pub enum ArgumentsAt {
    /// In the plan: no variable decides them.
    Fixed(Arguments),
    /// Among those that were bound for the request.
    Bound(usize),
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
    /// Its arguments.
    pub arguments: ArgumentsAt,
    /// What is selected on its value, by the value's type; empty for leaves.
    pub selection: BTreeMap<TypeId, Vec<Planned>>,
    /// Whether the value may not be null.
    pub non_null: bool,
    /// For lists, whether items may not be null.
    pub list: Option<bool>,
    /// Which of the plan's requirements its reader must meet.
    pub requirement: Option<usize>,
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

/// Makes one plan.
#[derive(Debug)]
pub struct Planner<'a> {
    catalog: &'a Catalog,
    /// The document, parsed and validated.
    document: &'a ExecutableDocument,
    /// The coerced variables; only those that decide `@skip` and `@include` are looked at.
    variables: &'a Variables,
    templates: Vec<ArgumentTemplates>,
    requirements: Vec<Requirement>,
    is_volatile: bool,
    planned: usize,
    problems: Vec<ServerError>,
}

/// Response keys that one plan may have, over all concrete types: interfaces within interfaces multiply them.
const PLANNED_MAX: usize = 50_000;

/// Why there is no plan.
#[derive(Debug)]
pub enum NoPlan {
    /// The graph has no such root.
    NoRoot(OperationType),
    /// Too many response keys over all concrete types.
    TooLarge(usize),
    /// Input that does not fit.
    Invalid(Vec<ServerError>),
}

type Collected<'a> = Vec<(Arc<str>, Vec<&'a Positioned<Field>>)>;

impl<'a> Planner<'a> {
    /// A planner for one operation of a document that was validated.
    pub fn new(
        catalog: &'a Catalog,
        document: &'a ExecutableDocument,
        variables: &'a Variables,
    ) -> Self {
        Self {
            catalog,
            document,
            variables,
            templates: Vec::new(),
            requirements: Vec::new(),
            is_volatile: false,
            planned: 0,
            problems: Vec::new(),
        }
    }

    /// Plans an operation. The guard has bounded the document, so recursion is bounded.
    pub fn plan(mut self, operation: &'a OperationDefinition) -> Result<Plan, NoPlan> {
        let root = match operation.ty {
            OperationType::Query => self.catalog.object("Query"),
            OperationType::Mutation => self.catalog.object("Mutation"),
            OperationType::Subscription => self.catalog.object("Subscription"),
        };
        let (root, _) = root.ok_or(NoPlan::NoRoot(operation.ty))?;
        let collected = self.collect(root.id, &[&operation.selection_set.node]);
        let introspection = introspection(&collected);
        let planned = self.fields(root.id, collected);
        if self.planned > PLANNED_MAX {
            return Err(NoPlan::TooLarge(PLANNED_MAX));
        }
        if !self.problems.is_empty() {
            return Err(NoPlan::Invalid(self.problems));
        }
        Ok(Plan {
            root: planned,
            root_type: root.id,
            introspection,
            templates: self.templates,
            requirements: self.requirements,
            is_volatile: self.is_volatile,
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

    fn fields(&mut self, ty: TypeId, collected: Collected<'a>) -> Vec<Planned> {
        self.planned = self.planned.saturating_add(collected.len());
        if self.planned > PLANNED_MAX {
            return Vec::new();
        }
        collected
            .into_iter()
            .filter_map(|(key, fields)| self.field(ty, key, &fields))
            .collect()
    }

    fn field(
        &mut self,
        ty: TypeId,
        key: Arc<str>,
        fields: &[&'a Positioned<Field>],
    ) -> Option<Planned> {
        let first = fields.first()?;
        let position = first.pos;
        let kind = match first.node.name.node.as_str() {
            "__typename" => Kind::TypeName,
            "__schema" | "__type" => Kind::Introspection,
            name => Kind::Field(self.planned_field(ty, name, fields)?),
        };
        Some(Planned {
            key,
            kind,
            position,
        })
    }

    fn planned_field(
        &mut self,
        ty: TypeId,
        name: &str,
        fields: &[&'a Positioned<Field>],
    ) -> Option<PlannedField> {
        let catalog = self.catalog;
        let (_, object) = catalog.object(&catalog.get(ty)?.name)?;
        let def = object.field(name)?;
        self.is_volatile |= def.is_volatile;
        let sets: Vec<&SelectionSet> = fields
            .iter()
            .map(|field| &field.node.selection_set.node)
            .collect();
        let at = FieldAt { ty, slot: def.slot };
        Some(PlannedField {
            at,
            arguments: self.arguments(at, def, fields.first()?),
            requirement: self.requirement(object, def),
            selection: self.selection(def, &sets),
            non_null: def.ty.non_null,
            list: def.ty.list,
        })
    }

    /// The arguments, coerced at once when no variable decides them.
    fn arguments(&mut self, at: FieldAt, def: &FieldDef, field: &Positioned<Field>) -> ArgumentsAt {
        let given = &field.node.arguments;
        for (name, value) in given {
            let known = def.arguments.iter().find(|known| *known.name == *name.node);
            let checked = known.map(|known| coerce::check(self.catalog, &known.ty, &value.node));
            if let Some(Err(misfit)) = checked {
                let misfit = misfit.under(name.node.as_str());
                let message = format!("an argument does not fit its type: {misfit}");
                self.problems
                    .push(ServerError::new(message, Some(value.pos)));
                return ArgumentsAt::Fixed(Arguments::default());
            }
        }
        let templates = ArgumentTemplates {
            at,
            given: given
                .iter()
                .map(|(name, value)| (name.node.clone(), value.node.clone()))
                .collect(),
        };
        if templates.given.iter().all(|(_, value)| is_constant(value))
            && let Ok(arguments) =
                bind::arguments(self.catalog, def, &templates, &Variables::default())
        {
            return ArgumentsAt::Fixed(arguments);
        }
        self.templates.push(templates);
        ArgumentsAt::Bound(self.templates.len() - 1)
    }

    fn selection(
        &mut self,
        def: &FieldDef,
        sets: &[&'a SelectionSet],
    ) -> BTreeMap<TypeId, Vec<Planned>> {
        if self.catalog.is_leaf(&def.ty.name) {
            return BTreeMap::new();
        }
        self.catalog
            .possible(&def.ty.name)
            .into_iter()
            .map(|ty| {
                let collected = self.collect(ty, sets);
                (ty, self.fields(ty, collected))
            })
            .collect()
    }

    /// What the field demands of its reader, together with the type it leads to.
    fn requirement(&mut self, object: &ObjectDef, def: &FieldDef) -> Option<usize> {
        let needed = field_need(self.catalog, object, def);
        if needed.alternatives.is_empty() {
            return None;
        }
        let known = self.requirements.iter().position(|known| *known == needed);
        Some(known.unwrap_or_else(|| {
            self.requirements.push(needed);
            self.requirements.len() - 1
        }))
    }
}

fn is_constant(value: &Template) -> bool {
    match value {
        Template::Variable(_) => false,
        Template::List(items) => items.iter().all(is_constant),
        Template::Object(members) => members.values().all(is_constant),
        Template::Null
        | Template::Number(_)
        | Template::String(_)
        | Template::Boolean(_)
        | Template::Binary(_)
        | Template::Enum(_) => true,
    }
}

/// The root's introspection fields, for the schema library to answer.
fn introspection(collected: &Collected<'_>) -> Vec<Positioned<Selection>> {
    let mut introspection = Vec::new();
    for (key, fields) in collected {
        let is_ours = |field: &Positioned<Field>| {
            !matches!(field.node.name.node.as_str(), "__schema" | "__type")
        };
        for field in fields.iter().filter(|field| !is_ours(field)) {
            let mut copy = Field::clone(&field.node);
            copy.alias = Some(Positioned::new(Name::new(key), field.pos));
            copy.directives.clear();
            let field = Positioned::new(copy, field.pos);
            introspection.push(Positioned::new(Selection::Field(field.clone()), field.pos));
        }
    }
    introspection
}

/// Whether a field's value stands in its slot.
pub fn is_slot(def: &FieldDef) -> bool {
    matches!(def.fill, Fill::Mapped | Fill::Derived) && def.arguments.is_empty()
}
