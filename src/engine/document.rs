//! Documents that were parsed, bounded and validated, and the plans made of them, kept for the next request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Positioned;
use async_graphql::Value;
use async_graphql::parser::types::{
    Directive, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql_value::Value as Template;
use moka::sync::Cache;

use crate::engine::coerce::Variables;
use crate::engine::plan::{NoPlan, Plan, Planner};
use crate::engine::refusal::Refusal;
use crate::error::Code;
use crate::schema::Catalog;

/// Plans kept for one document: more combinations of `@skip` and `@include` than these are planned anew each time.
const PLANS_MAX: usize = 16;
/// What a document takes in memory with its plans, for each byte of its text; measured on the shipped queries.
const BYTES_PER_CHARACTER: usize = 40;

/// A document that was parsed, bounded and validated.
#[derive(Debug)]
pub struct Document {
    ast: ExecutableDocument,
    /// Names of the variables that decide `@skip` and `@include`.
    switches: Vec<String>,
    plans: Mutex<BTreeMap<PlanKey, Arc<Numbered>>>,
}

/// Which plan of a document: the operation, and what its switches say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PlanKey {
    operation: Option<String>,
    switched: Vec<Option<bool>>,
}

/// A plan with a number that no other plan of its engine has.
#[derive(Debug)]
pub struct Numbered {
    /// The number.
    pub number: u64,
    /// The plan.
    pub plan: Plan,
}

/// Numbers the plans of one engine.
#[derive(Debug, Default)]
pub struct Numbers(AtomicU64);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Document {
    /// Takes a document that the guard let through and that was validated.
    pub fn new(ast: ExecutableDocument) -> Self {
        let mut switches = Vec::new();
        for (_, operation) in ast.operations.iter() {
            collect_switches(&operation.node.selection_set.node, &mut switches);
        }
        for fragment in ast.fragments.values() {
            collect_switches(&fragment.node.selection_set.node, &mut switches);
        }
        switches.sort();
        switches.dedup();
        Self {
            ast,
            switches,
            plans: Mutex::default(),
        }
    }

    /// The document's tree.
    pub fn ast(&self) -> &ExecutableDocument {
        &self.ast
    }

    /// The operation to run.
    pub(crate) fn operation(
        &self,
        name: Option<&str>,
    ) -> Result<&Positioned<OperationDefinition>, Refusal> {
        choose(&self.ast, name)
    }

    /// The name of the operation to run, as the document has it; empty when it has none.
    pub(crate) fn name_of<'n>(&'n self, asked: Option<&'n str>) -> &'n str {
        let mut names = self.ast.operations.iter().map(|(name, _)| name);
        let only = names.next().flatten().map_or("", |name| name.as_str());
        asked.unwrap_or(only)
    }

    /// The plan of an operation for these variables, made unless it is there.
    pub(crate) fn plan(
        &self,
        catalog: &Catalog,
        name: Option<&str>,
        variables: &Variables,
        numbers: &Numbers,
    ) -> Result<Arc<Numbered>, Refusal> {
        let operation = self.operation(name)?;
        let mut switched = Vec::with_capacity(self.switches.len());
        for switch in &self.switches {
            switched.push(self.switched(operation, switch, variables)?);
        }
        let key = PlanKey {
            operation: name.map(str::to_owned),
            switched,
        };
        let lock = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return Ok(known.clone());
        }
        let plan = Planner::new(catalog, &self.ast, variables)
            .plan(&operation.node)
            .map_err(refuse)?;
        let plan = Arc::new(Numbered {
            number: numbers.next(),
            plan,
        });
        let mut plans = lock();
        if plans.len() < PLANS_MAX {
            plans.insert(key, plan.clone());
        }
        Ok(plan)
    }

    fn switched(
        &self,
        operation: &Positioned<OperationDefinition>,
        switch: &str,
        variables: &Variables,
    ) -> Result<Option<bool>, Refusal> {
        match variables.get(switch) {
            Some(Value::Boolean(flag)) => Ok(Some(*flag)),
            // The variable may be of another operation of the document.
            None => Ok(None),
            Some(_) => Err(Refusal::at(
                Code::GraphqlValidationFailed,
                format!("`${switch}` decides `@skip` or `@include`, and is null"),
                Some(operation.pos),
            )),
        }
    }
}

fn refuse(problem: NoPlan) -> Refusal {
    match problem {
        NoPlan::NoRoot(ty) => {
            let message = match ty {
                OperationType::Query => "the graph has no queries",
                OperationType::Mutation => "the graph has no mutations",
                OperationType::Subscription => "the graph has no subscriptions",
            };
            Refusal::of(Code::GraphqlValidationFailed, message)
        }
        NoPlan::TooLarge(max) => Refusal::of(
            Code::LimitExceeded,
            format!("the document has too many fields over all types: at most {max} are allowed"),
        ),
        NoPlan::Invalid(errors) => Refusal {
            code: Code::GraphqlValidationFailed,
            errors,
        },
    }
}

/// The operation of that name, or the only one.
pub(crate) fn choose<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<&'d Positioned<OperationDefinition>, Refusal> {
    let refuse = |message: String| Refusal::of(Code::BadRequest, message);
    let mut all = document.operations.iter();
    match name {
        Some(name) => all
            .find(|(known, _)| known.is_some_and(|known| known.as_str() == name))
            .map(|(_, operation)| operation)
            .ok_or_else(|| refuse(format!("the document has no operation `{name}`"))),
        None => match (all.next(), all.next()) {
            (Some((_, operation)), None) => Ok(operation),
            _ => Err(refuse(
                "the document has several operations; `operationName` must say which to run"
                    .to_owned(),
            )),
        },
    }
}

fn collect_switches(set: &SelectionSet, switches: &mut Vec<String>) {
    for item in &set.items {
        collect_from(item.node.directives(), switches);
        match &item.node {
            Selection::Field(field) => {
                collect_switches(&field.node.selection_set.node, switches);
            }
            Selection::InlineFragment(fragment) => {
                collect_switches(&fragment.node.selection_set.node, switches);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn collect_from(directives: &[Positioned<Directive>], switches: &mut Vec<String>) {
    for directive in directives {
        let is_switch = matches!(directive.node.name.node.as_str(), "skip" | "include");
        if let Some(Template::Variable(name)) = directive
            .node
            .get_argument("if")
            .map(|value| &value.node)
            .filter(|_| is_switch)
        {
            switches.push(name.to_string());
        }
    }
}

/// The documents that were seen lately, by their text, bounded by the memory they take. One engine has one: another graph
/// plans anew.
#[derive(Debug)]
pub struct Documents(Cache<Arc<str>, Arc<Document>>);

impl Documents {
    /// An empty store.
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |text: &Arc<str>, _: &Arc<Document>| {
            u32::try_from(text.len().saturating_mul(BYTES_PER_CHARACTER)).unwrap_or(u32::MAX)
        };
        Self(
            Cache::builder()
                .max_capacity(bytes_max)
                .weigher(weigh)
                .build(),
        )
    }

    /// The document of that text, when it was seen lately.
    pub fn get(&self, text: &str) -> Option<Arc<Document>> {
        self.0.get(text)
    }

    /// Keeps a document.
    pub fn put(&self, text: &str, document: Arc<Document>) {
        self.0.insert(text.into(), document);
    }
}
