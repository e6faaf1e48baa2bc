//! Coerces input as the specification demands (sections 3.5 to 3.12, 5.6 and 6.1.2): what does not fit its type is
//! refused, defaults are filled in, single values become lists.

use std::collections::BTreeMap;

use async_graphql::parser::types::{BaseType, OperationDefinition, Type, VariableDefinition};
use async_graphql::{Name, ServerError, Value, indexmap::IndexMap};
use async_graphql_value::Value as Template;

use crate::schema::{Catalog, InputDef, TypeKind, scalar};

/// The coerced variables of one request; a variable without a value is absent.
#[derive(Debug, Default)]
pub struct Variables(BTreeMap<String, Value>);

/// What does not fit its type, and where in the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The steps to the place, innermost first.
    steps: Vec<String>,
    problem: String,
}

impl Misfit {
    fn new(problem: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            problem: problem.into(),
        }
    }

    /// The same, seen from one step further out.
    pub(crate) fn under(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path: Vec<&str> = self.steps.iter().rev().map(String::as_str).collect();
        write!(f, "`{}`: {}", path.join("."), self.problem)
    }
}

/// How a value was written, which decides how enums and integers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In the document.
    Literal,
    /// In the JSON of the variables.
    Json,
}

impl Variables {
    /// Takes the sent values and the operation's defaults; reports every variable that does not fit.
    pub fn coerce(
        catalog: &Catalog,
        operation: &OperationDefinition,
        sent: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, Vec<ServerError>> {
        let mut variables = BTreeMap::new();
        let mut problems = Vec::new();
        for definition in &operation.variable_definitions {
            let name = definition.node.name.node.as_str();
            match variable(catalog, &definition.node, sent.get(name)) {
                Ok(Some(value)) => {
                    variables.insert(name.to_owned(), value);
                }
                Ok(None) => {}
                Err(misfit) => {
                    let misfit = misfit.under(format!("${name}"));
                    let message = format!("a variable does not fit its type: {misfit}");
                    problems.push(ServerError::new(message, Some(definition.pos)));
                }
            }
        }
        if problems.is_empty() {
            Ok(Self(variables))
        } else {
            Err(problems)
        }
    }

    /// A value of the document with variables put in; `None` when it is a variable without a value.
    pub fn resolve(&self, value: &Template) -> Option<Value> {
        Some(match value {
            Template::Variable(name) => return self.0.get(name.as_str()).cloned(),
            Template::Null => Value::Null,
            Template::Number(number) => Value::Number(number.clone()),
            Template::String(text) => Value::String(text.clone()),
            Template::Boolean(flag) => Value::Boolean(*flag),
            Template::Binary(bytes) => Value::Binary(bytes.clone()),
            Template::Enum(name) => Value::Enum(name.clone()),
            Template::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.resolve(item).unwrap_or(Value::Null))
                    .collect(),
            ),
            Template::Object(members) => Value::Object(
                members
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), self.resolve(value)?)))
                    .collect(),
            ),
        })
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The variables as text, equal for equal values.
    pub fn canonical(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

fn variable(
    catalog: &Catalog,
    definition: &VariableDefinition,
    sent: Option<&serde_json::Value>,
) -> Result<Option<Value>, Misfit> {
    let ty = &definition.var_type.node;
    match (sent, &definition.default_value) {
        (Some(sent), _) => {
            let value = Value::from_json(sent.clone())
                .map_err(|_unreadable| Misfit::new("the value can't be read"))?;
            fit(catalog, ty, value, Form::Json).map(Some)
        }
        (None, Some(default)) => fit(catalog, ty, default.node.clone(), Form::Literal).map(Some),
        (None, None) if ty.nullable => Ok(None),
        (None, None) => Err(Misfit::new(format!("`{ty}` needs a value"))),
    }
}

/// Fits a value of the document, variables put in, to its type.
pub fn literal(catalog: &Catalog, ty: &Type, value: Value) -> Result<Value, Misfit> {
    fit(catalog, ty, value, Form::Literal)
}

fn fit(catalog: &Catalog, ty: &Type, value: Value, form: Form) -> Result<Value, Misfit> {
    match (&ty.base, value) {
        (_, Value::Null) if ty.nullable => Ok(Value::Null),
        (_, Value::Null) => Err(Misfit::new(format!("`{ty}` may not be null"))),
        (BaseType::List(item), Value::List(items)) => {
            let fitted: Result<_, Misfit> = items
                .into_iter()
                .enumerate()
                .map(|(index, value)| {
                    fit(catalog, item, value, form)
                        .map_err(|misfit| misfit.under(index.to_string()))
                })
                .collect();
            fitted.map(Value::List)
        }
        (BaseType::List(item), single) => Ok(Value::List(vec![fit(catalog, item, single, form)?])),
        (BaseType::Named(name), value) => named(catalog, name.as_str(), value, form),
    }
}

fn named(catalog: &Catalog, name: &str, value: Value, form: Form) -> Result<Value, Misfit> {
    match catalog.named(name).map(|def| &def.kind) {
        Some(TypeKind::Enum(values)) => {
            let text = match (&value, form) {
                (Value::Enum(text), _) => text.as_str(),
                (Value::String(text), Form::Json) => text.as_str(),
                _ => return Err(wrong(name, &value)),
            };
            if values.iter().any(|known| &*known.name == text) {
                Ok(Value::Enum(Name::new(text)))
            } else {
                Err(Misfit::new(format!("`{name}` has no value `{text}`")))
            }
        }
        Some(TypeKind::Input { one_of, fields }) => match value {
            Value::Object(given) => object(catalog, name, (*one_of, fields), given, form),
            other => Err(wrong(name, &other)),
        },
        Some(TypeKind::Scalar { .. }) if scalar::accepts(name, &value) => Ok(value),
        Some(TypeKind::Scalar { .. }) => Err(wrong(name, &value)),
        Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_)) => {
            Err(Misfit::new(format!("`{name}` is not an input type")))
        }
        None => built_in(name, value, form),
    }
}

/// A scalar that GraphQL itself defines.
fn built_in(name: &str, value: Value, form: Form) -> Result<Value, Misfit> {
    match (name, &value) {
        ("Int", Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| match form {
                // JSON does not tell 1.0 from 1.
                Form::Json => number.as_f64().and_then(whole),
                Form::Literal => None,
            });
            match whole.map(i32::try_from) {
                Some(Ok(whole)) => Ok(Value::Number(whole.into())),
                Some(Err(_)) => Err(Misfit::new("the number is beyond 32 bits, which `Int` has")),
                None => Err(wrong(name, &value)),
            }
        }
        ("Float", Value::Number(_))
        | ("String" | "ID", Value::String(_))
        | ("Boolean", Value::Boolean(_)) => Ok(value),
        ("ID", Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Ok(Value::String(number.to_string()))
        }
        _ => Err(wrong(name, &value)),
    }
}

fn whole(number: f64) -> Option<i64> {
    let is_whole = number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX);
    // The bound makes the cast exact.
    is_whole.then_some(number as i64)
}

fn object(
    catalog: &Catalog,
    name: &str,
    (one_of, fields): (bool, &[InputDef]),
    mut given: IndexMap<Name, Value>,
    form: Form,
) -> Result<Value, Misfit> {
    let count = given.len();
    let mut fitted = IndexMap::new();
    for field in fields {
        let value = match given.shift_remove(&*field.name) {
            Some(value) => Some(
                fit(catalog, &field.ty, value, form)
                    .map_err(|misfit| misfit.under(&*field.name))?,
            ),
            None => default(catalog, field)?,
        };
        match value {
            Some(value) => {
                fitted.insert(Name::new(&field.name), value);
            }
            None if field.ty.nullable => {}
            None => return Err(missing(field)),
        }
    }
    if let Some(unknown) = given.keys().next() {
        return Err(Misfit::new(format!("`{name}` has no field `{unknown}`")));
    }
    let is_one = count == 1 && fitted.values().all(|value| *value != Value::Null);
    if one_of && !is_one {
        return Err(one_of_broken(name));
    }
    Ok(Value::Object(fitted))
}

/// The default of an argument or a field, which may leave out members that have defaults of their own.
pub(crate) fn default(catalog: &Catalog, def: &InputDef) -> Result<Option<Value>, Misfit> {
    let written = def.default.clone();
    let fitted = written.map(|value| literal(catalog, &def.ty, value));
    fitted
        .transpose()
        .map_err(|misfit| misfit.under(&*def.name))
}

fn missing(field: &InputDef) -> Misfit {
    Misfit::new(format!("`{}` needs a value", field.ty)).under(&*field.name)
}

fn one_of_broken(name: &str) -> Misfit {
    Misfit::new(format!(
        "`{name}` takes exactly one of its fields, and it may not be null"
    ))
}

fn wrong(name: &str, value: &Value) -> Misfit {
    let found = match value {
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Boolean(_) => "a boolean",
        Value::Binary(_) => "bytes",
        Value::Enum(_) => "a name",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
    };
    Misfit::new(format!("`{name}` does not accept this value, {found}"))
}

/// Checks the parts of a value that hold no variable; what variables bring is checked when they are known.
pub fn check(catalog: &Catalog, ty: &Type, value: &Template) -> Result<(), Misfit> {
    if let Some(constant) = value.clone().into_const() {
        return literal(catalog, ty, constant).map(|_| ());
    }
    match (&ty.base, value) {
        (_, Template::Variable(_)) => Ok(()),
        (BaseType::List(item), Template::List(items)) => {
            for (index, value) in items.iter().enumerate() {
                check(catalog, item, value).map_err(|misfit| misfit.under(index.to_string()))?;
            }
            Ok(())
        }
        (BaseType::List(item), single) => check(catalog, item, single),
        (BaseType::Named(name), Template::Object(given)) => {
            check_object(catalog, name.as_str(), given)
        }
        (BaseType::Named(name), _) => Err(Misfit::new(format!(
            "`{name}` does not accept this value, a list"
        ))),
    }
}

fn check_object(
    catalog: &Catalog,
    name: &str,
    given: &IndexMap<Name, Template>,
) -> Result<(), Misfit> {
    let Some(TypeKind::Input { one_of, fields }) = catalog.named(name).map(|def| &def.kind) else {
        // A scalar that takes any JSON may hold variables deep inside.
        return Ok(());
    };
    for field in fields {
        match given.get(&*field.name) {
            Some(value) => {
                check(catalog, &field.ty, value).map_err(|misfit| misfit.under(&*field.name))?
            }
            None if field.default.is_some() || field.ty.nullable => {}
            None => return Err(missing(field)),
        }
    }
    let is_known = |key: &Name| fields.iter().any(|field| &*field.name == key.as_str());
    if let Some(unknown) = given.keys().find(|key| !is_known(key)) {
        return Err(Misfit::new(format!("`{name}` has no field `{unknown}`")));
    }
    if *one_of && given.len() != 1 {
        return Err(one_of_broken(name));
    }
    Ok(())
}
