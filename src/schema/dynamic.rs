//! Builds the async-graphql schema that parses, validates and introspects; it never runs an operation of ours.

use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, InputObject, InputValue, Interface, InterfaceField, Object,
    Scalar, Schema, SchemaError, TypeRef, Union,
};
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::parser::types as ast;
use async_graphql::{Response, ValidationMode, Value};

use crate::schema::{Catalog, FieldDef, InputDef, ObjectDef, TypeDef, TypeKind, scalar};

/// Marks a request that is to be parsed and validated only.
#[derive(Debug, Clone, Copy)]
pub struct ValidateOnly;

/// Builds the schema. Its validation limits are those of the engine's guard, which runs first.
pub fn build(catalog: &Catalog, mode: ValidationMode) -> Result<Schema, SchemaError> {
    let mut builder = Schema::build("Query", None, None)
        .validation_mode(mode)
        .extension(StopBeforeExecution);
    for def in catalog.types() {
        builder = match &def.kind {
            TypeKind::Scalar { specified_by } => {
                builder.register(scalar(def, specified_by.as_deref()))
            }
            TypeKind::Enum(values) => {
                let items = values.iter().map(|value| {
                    let item = EnumItem::new(&*value.name);
                    match &value.description {
                        Some(text) => item.description(text),
                        None => item,
                    }
                });
                builder
                    .register(described(Enum::new(&*def.name), def, Enum::description).items(items))
            }
            TypeKind::Object(object) => builder.register(object_type(def, object)),
            TypeKind::Interface(object) => builder.register(interface(def, object)),
            TypeKind::Union(members) => {
                let union = described(Union::new(&*def.name), def, Union::description);
                builder.register(
                    members
                        .iter()
                        .fold(union, |union, member| union.possible_type(&**member)),
                )
            }
            TypeKind::Input { one_of, fields } => {
                let mut input =
                    described(InputObject::new(&*def.name), def, InputObject::description);
                if *one_of {
                    input = input.oneof();
                }
                builder.register(
                    fields
                        .iter()
                        .fold(input, |input, field| input.field(argument(field))),
                )
            }
        };
    }
    builder.finish()
}

fn described<T>(item: T, def: &TypeDef, set: impl Fn(T, String) -> T) -> T {
    match &def.description {
        Some(text) => set(item, text.clone()),
        None => item,
    }
}

fn object_type(def: &TypeDef, object: &ObjectDef) -> Object {
    let mut built = described(Object::new(&*def.name), def, Object::description);
    for name in &object.implements {
        built = built.implement(&**name);
    }
    object
        .fields
        .iter()
        .fold(built, |built, field| built.field(output(field)))
}

fn output(def: &FieldDef) -> Field {
    let mut field = Field::new(&*def.name, output_type(def), |_| {
        FieldFuture::from_value(None)
    });
    if let Some(text) = &def.description {
        field = field.description(text);
    }
    if let Some(reason) = &def.deprecated {
        field = field.deprecation(Some(reason));
    }
    def.arguments
        .iter()
        .fold(field, |field, def| field.argument(argument(def)))
}

fn interface(def: &TypeDef, object: &ObjectDef) -> Interface {
    let mut built = described(Interface::new(&*def.name), def, Interface::description);
    for name in &object.implements {
        built = built.implement(&**name);
    }
    object.fields.iter().fold(built, |built, def| {
        let mut field = InterfaceField::new(&*def.name, output_type(def));
        if let Some(text) = &def.description {
            field = field.description(text);
        }
        built.field(
            def.arguments
                .iter()
                .fold(field, |field, def| field.argument(argument(def))),
        )
    })
}

fn output_type(def: &FieldDef) -> TypeRef {
    let named = TypeRef::named(&*def.ty.name);
    let inner = match def.ty.list {
        Some(true) => TypeRef::List(Box::new(TypeRef::NonNull(Box::new(named)))),
        Some(false) => TypeRef::List(Box::new(named)),
        None => named,
    };
    if def.ty.non_null {
        TypeRef::NonNull(Box::new(inner))
    } else {
        inner
    }
}

fn argument(def: &InputDef) -> InputValue {
    let mut input = InputValue::new(&*def.name, input_type(&def.ty));
    if let Some(text) = &def.description {
        input = input.description(text);
    }
    if let Some(value) = &def.default {
        input = input.default_value(value.clone());
    }
    input
}

fn input_type(ty: &ast::Type) -> TypeRef {
    let base = match &ty.base {
        ast::BaseType::Named(name) => TypeRef::named(name.as_str()),
        ast::BaseType::List(item) => TypeRef::List(Box::new(input_type(item))),
    };
    if ty.nullable {
        base
    } else {
        TypeRef::NonNull(Box::new(base))
    }
}

fn scalar(def: &TypeDef, specified_by: Option<&str>) -> Scalar {
    let mut built = described(Scalar::new(&*def.name), def, Scalar::description);
    if let Some(url) = specified_by {
        built = built.specified_by_url(url);
    }
    let name = def.name.clone();
    built.validator(move |value| scalar::accepts(&name, value))
}

struct StopBeforeExecution;

impl ExtensionFactory for StopBeforeExecution {
    fn create(&self) -> std::sync::Arc<dyn Extension> {
        std::sync::Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for StopBeforeExecution {
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        if ctx.data_opt::<ValidateOnly>().is_some() {
            return Response::new(Value::Null);
        }
        next.run(ctx, operation_name).await
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use async_graphql::{Request, ValidationMode};

    use super::{ValidateOnly, build};
    use crate::schema::load::load_shipped;

    async fn check(query: &str, expected: &str) {
        let schema = build(&load_shipped().unwrap(), ValidationMode::Strict).unwrap();
        let response = schema.execute(Request::new(query).data(ValidateOnly)).await;
        let said = response
            .errors
            .first()
            .map_or("", |error| error.message.as_str());
        assert!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{query}: {said}"
        );
    }

    #[tokio::test]
    async fn documents_are_validated_against_the_graph() {
        check("{ customer(id: 1) { displayName } }", "").await;
        check("{ customer(id: 1) { displayNam } }", "displayNam").await;
        check(
            "{ orders(filter: {placedAt: {from: \"yesterday\"}}) { nodes { id } } }",
            "DateTime",
        )
        .await;
        check(
            "{ customerByIdentifier(identifier: {email: \"a\", phone: \"b\"}) { id } }",
            "one",
        )
        .await;
    }
}
