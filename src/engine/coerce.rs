//! Coerces variables and arguments: defaults filled in, single values wrapped into lists.

use std::collections::BTreeMap;

use async_graphql::parser::types::{BaseType, OperationDefinition, Type};
use async_graphql::{Name, Positioned, Value, indexmap::IndexMap};
use async_graphql_value::Value as Template;

use crate::resolve::argument::Arguments;
use crate::schema::{Catalog, FieldDef};

/// The variables of one request.
#[derive(Debug, Default)]
pub struct Variables(BTreeMap<String, Value>);

impl Variables {
    /// Takes the sent values and the operation's defaults. Validation has refused what does not fit.
    pub fn of(
        catalog: &Catalog,
        operation: &OperationDefinition,
        sent: &serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        let mut variables = BTreeMap::new();
        for definition in &operation.variable_definitions {
            let definition = &definition.node;
            let name = definition.name.node.as_str();
            let value = match sent.get(name) {
                Some(value) => Value::from_json(value.clone()).ok(),
                None => definition
                    .default_value
                    .as_ref()
                    .map(|value| value.node.clone()),
            };
            if let Some(value) = value {
                variables.insert(
                    name.to_owned(),
                    coerce(catalog, &definition.var_type.node, value),
                );
            }
        }
        Self(variables)
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
}

/// The coerced arguments of a field.
pub fn arguments(
    catalog: &Catalog,
    def: &FieldDef,
    given: &[(Positioned<Name>, Positioned<Template>)],
    variables: &Variables,
) -> Arguments {
    let mut coerced = BTreeMap::new();
    for argument in &def.arguments {
        let value = given
            .iter()
            .find(|(name, _)| name.node.as_str() == &*argument.name)
            .and_then(|(_, value)| variables.resolve(&value.node))
            .or_else(|| argument.default.clone());
        if let Some(value) = value {
            coerced.insert(argument.name.clone(), coerce(catalog, &argument.ty, value));
        }
    }
    Arguments(coerced)
}

/// Fits a valid value to its type.
fn coerce(catalog: &Catalog, ty: &Type, value: Value) -> Value {
    match (&ty.base, value) {
        (_, Value::Null) => Value::Null,
        (BaseType::List(item), Value::List(items)) => Value::List(
            items
                .into_iter()
                .map(|value| coerce(catalog, item, value))
                .collect(),
        ),
        (BaseType::List(item), single) => Value::List(vec![coerce(catalog, item, single)]),
        (BaseType::Named(name), Value::Object(given)) => match catalog.input(name.as_str()) {
            None => Value::Object(given),
            Some(fields) => {
                let mut object = IndexMap::new();
                for field in fields {
                    let value = given
                        .get(&*field.name)
                        .cloned()
                        .or_else(|| field.default.clone());
                    if let Some(value) = value {
                        object.insert(Name::new(&field.name), coerce(catalog, &field.ty, value));
                    }
                }
                Value::Object(object)
            }
        },
        (BaseType::Named(_), value) => value,
    }
}
