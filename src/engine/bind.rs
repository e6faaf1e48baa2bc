//! Binds a plan to one request: its variables and its caller.

use std::collections::BTreeMap;

use async_graphql::Value;

use crate::auth::caller::Caller;
use crate::engine::coerce::{self, Misfit, Variables};
use crate::engine::plan::{ArgumentTemplates, ArgumentsAt, Kind, Plan, Planned, PlannedField};
use crate::error::Code;
use crate::resolve::FieldError;
use crate::resolve::argument::Arguments;
use crate::schema::{Catalog, FieldDef};

/// What a plan leaves open, for one request.
#[derive(Debug)]
pub struct Bound {
    arguments: Vec<Result<Arguments, FieldError>>,
    /// What the caller lacks, for each of the plan's requirements.
    lacking: Vec<Option<FieldError>>,
}

impl Bound {
    /// Puts in the variables and weighs the caller.
    pub fn new(catalog: &Catalog, plan: &Plan, variables: &Variables, caller: &Caller) -> Self {
        let arguments = plan.templates.iter().map(|templates| {
            let def = templates.at.definition(catalog).ok_or_else(|| {
                FieldError::new(Code::Internal, "the plan does not fit the graph")
            })?;
            arguments(catalog, def, templates, variables).map_err(|misfit| {
                let message = format!("an argument does not fit its type: {misfit}");
                FieldError::new(Code::InvalidArgument, message)
            })
        });
        let lacking = plan.requirements.iter().map(|requirement| {
            (!requirement.is_met_by(caller))
                .then(|| FieldError::new(Code::Forbidden, requirement.refusal()))
        });
        Self {
            arguments: arguments.collect(),
            lacking: lacking.collect(),
        }
    }

    /// The arguments of a field.
    pub fn arguments<'b>(&'b self, field: &'b PlannedField) -> Result<&'b Arguments, FieldError> {
        match &field.arguments {
            ArgumentsAt::Fixed(arguments) => Ok(arguments),
            ArgumentsAt::Bound(index) => match self.arguments.get(*index) {
                Some(bound) => bound.as_ref().map_err(Clone::clone),
                None => Err(FieldError::new(
                    Code::Internal,
                    "the plan was not bound to the request",
                )),
            },
        }
    }

    /// Why the caller may not see a field; nothing when it may.
    pub fn denied(&self, field: &PlannedField) -> Option<&FieldError> {
        self.lacking.get(field.requirement?)?.as_ref()
    }

    /// Which of the plan's requirements the caller meets.
    pub fn met(&self) -> impl Iterator<Item = bool> {
        self.lacking.iter().map(Option::is_none)
    }

    /// Names of the graph's fields that are selected on a type and that the caller may see.
    pub fn selected<'c>(&self, catalog: &'c Catalog, planned: &[Planned]) -> Vec<&'c str> {
        planned
            .iter()
            .filter_map(|planned| match &planned.kind {
                Kind::Field(field) if self.denied(field).is_none() => {
                    field.at.definition(catalog).map(|def| &*def.name)
                }
                Kind::Field(_) | Kind::TypeName | Kind::Introspection => None,
            })
            .collect()
    }

    /// What a selection can cost: each field counts one for each object that it can be asked on, with lists as long as
    /// the pages asked for.
    pub fn cost(&self, catalog: &Catalog, planned: &[Planned], objects: u64) -> u64 {
        planned.iter().fold(0, |total: u64, planned| {
            let Kind::Field(field) = &planned.kind else {
                return total.saturating_add(objects);
            };
            let inner = objects.saturating_mul(self.page(catalog, field));
            let below = field
                .selection
                .values()
                .map(|planned| self.cost(catalog, planned, inner))
                .max();
            total
                .saturating_add(objects)
                .saturating_add(below.unwrap_or(0))
        })
    }

    /// How many objects a field leads to for each one it is asked on.
    fn page(&self, catalog: &Catalog, field: &PlannedField) -> u64 {
        let is_connection = field.at.definition(catalog).is_some_and(|def| {
            let named = |name: &str| def.arguments.iter().any(|known| &*known.name == name);
            named("first")
        });
        match self
            .arguments(field)
            .ok()
            .and_then(|given| given.get("first"))
        {
            Some(Value::Number(number)) if is_connection => number.as_u64().unwrap_or(1).max(1),
            _ => 1,
        }
    }
}

/// The coerced arguments of a field.
pub(crate) fn arguments(
    catalog: &Catalog,
    def: &FieldDef,
    templates: &ArgumentTemplates,
    variables: &Variables,
) -> Result<Arguments, Misfit> {
    let mut coerced = BTreeMap::new();
    for argument in &def.arguments {
        let given = templates
            .given
            .iter()
            .find(|(name, _)| name.as_str() == &*argument.name)
            .and_then(|(_, value)| variables.resolve(value));
        let value = match given {
            Some(value) => Some(
                coerce::literal(catalog, &argument.ty, value)
                    .map_err(|misfit| misfit.under(&*argument.name))?,
            ),
            None => coerce::default(catalog, argument)?,
        };
        if let Some(value) = value {
            coerced.insert(argument.name.clone(), value);
        }
    }
    Ok(Arguments(coerced))
}
