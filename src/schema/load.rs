//! Reads schema texts into a catalog, collecting every problem.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::Value as ConstValue;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types as ast;
use sha2::{Digest, Sha256};

use crate::record::value::TypeId;
use crate::schema::{
    Catalog, EntityDef, EnumValue, FieldDef, Fill, InputDef, Matches, ObjectDef, Ref, TypeDef,
    TypeKind,
};

/// One schema text and the name it goes by in messages.
#[derive(Debug, Clone)]
pub struct SchemaText {
    /// File name.
    pub file: Arc<str>,
    /// Contents.
    pub text: String,
}

/// Something wrong in a schema text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

const TYPES_MAX: usize = 4_096;
const BUILT_IN: [&str; 5] = ["ID", "String", "Int", "Float", "Boolean"];

/// Reads the texts, the first being the graph itself and the others its extensions.
pub fn load(texts: &[SchemaText]) -> Result<Catalog, Vec<SchemaProblem>> {
    let mut loader = Loader::default();
    for text in texts {
        loader.read(text);
    }
    loader.check_references();
    if !loader.problems.is_empty() {
        return Err(loader.problems);
    }
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.text.as_bytes());
    }
    let by_name = loader
        .types
        .iter()
        .map(|def| (def.name.clone(), def.id))
        .collect();
    Ok(Catalog {
        types: loader.types,
        by_name,
        directives: loader.directives,
        digest: hex::encode(hash.finalize().get(..8).unwrap_or_default()).into(),
    })
}

/// Reads the graph that ships with the binary.
pub fn load_shipped() -> Result<Catalog, Vec<SchemaProblem>> {
    load(&[SchemaText {
        file: "schema.graphql".into(),
        text: crate::schema::SCHEMA.to_owned(),
    }])
}

#[derive(Default)]
struct Loader {
    types: Vec<TypeDef>,
    index: BTreeMap<Arc<str>, usize>,
    directives: Vec<ast::DirectiveDefinition>,
    references: Vec<(SchemaProblem, Arc<str>)>,
    problems: Vec<SchemaProblem>,
}

impl Loader {
    fn read(&mut self, text: &SchemaText) {
        let document = match parse_schema(&text.text) {
            Ok(document) => document,
            Err(error) => {
                let at = error.positions().next().unwrap_or_default();
                let message = format!("the schema can't be parsed: {error}");
                self.problems.push(SchemaProblem {
                    file: text.file.clone(),
                    line: at.line,
                    column: at.column,
                    message,
                });
                return;
            }
        };
        for definition in document.definitions {
            match definition {
                ast::TypeSystemDefinition::Type(def) => self.read_type(text, def.pos, def.node),
                ast::TypeSystemDefinition::Directive(def) => self.directives.push(def.node),
                ast::TypeSystemDefinition::Schema(_) => {}
            }
        }
    }

    fn problem(&mut self, text: &SchemaText, at: async_graphql::Pos, message: String) {
        self.problems.push(SchemaProblem {
            file: text.file.clone(),
            line: at.line,
            column: at.column,
            message,
        });
    }

    fn read_type(&mut self, text: &SchemaText, at: async_graphql::Pos, def: ast::TypeDefinition) {
        let name: Arc<str> = def.name.node.as_str().into();
        let requires = scopes(&def.directives);
        let entity = directive(&def.directives, "entity").map(|entity| EntityDef {
            entity_type: enum_argument(entity, "type"),
        });
        let specified_by =
            directive(&def.directives, "specifiedBy").and_then(|found| text_argument(found, "url"));
        let one_of = directive(&def.directives, "oneOf").is_some();
        let kind = match def.kind {
            ast::TypeKind::Scalar => TypeKind::Scalar { specified_by },
            ast::TypeKind::Enum(def) => {
                TypeKind::Enum(def.values.into_iter().map(enum_value).collect())
            }
            ast::TypeKind::Object(object) => {
                TypeKind::Object(self.fields(text, object.implements, object.fields, entity))
            }
            ast::TypeKind::Interface(object) => {
                TypeKind::Interface(self.fields(text, object.implements, object.fields, None))
            }
            ast::TypeKind::Union(union) => TypeKind::Union(
                union
                    .members
                    .iter()
                    .map(|member| member.node.as_str().into())
                    .collect(),
            ),
            ast::TypeKind::InputObject(input) => TypeKind::Input {
                one_of,
                fields: self.inputs(text, input.fields),
            },
        };
        let description = def.description.map(|text| text.node);
        if def.extend {
            self.extend(text, at, &name, kind);
        } else if self.index.contains_key(&name) {
            self.problem(text, at, format!("type `{name}` is defined twice"));
        } else if self.types.len() >= TYPES_MAX {
            self.problem(
                text,
                at,
                format!("the schema has more than {TYPES_MAX} types"),
            );
        } else {
            let id = TypeId(u16::try_from(self.types.len()).unwrap_or(u16::MAX));
            self.index.insert(name.clone(), self.types.len());
            self.types.push(TypeDef {
                id,
                name,
                description,
                kind,
                requires,
            });
        }
    }

    fn extend(
        &mut self,
        text: &SchemaText,
        at: async_graphql::Pos,
        name: &Arc<str>,
        kind: TypeKind,
    ) {
        let Some(def) = self
            .index
            .get(name)
            .and_then(|place| self.types.get_mut(*place))
        else {
            self.problem(
                text,
                at,
                format!("`extend type {name}`: there is no type `{name}` to extend"),
            );
            return;
        };
        let mut twice = Vec::new();
        match (&mut def.kind, kind) {
            (TypeKind::Object(own), TypeKind::Object(more)) => {
                for mut field in more.fields {
                    if own.field(&field.name).is_some() {
                        twice.push(field.name);
                    } else {
                        field.slot = own.fields.len();
                        own.fields.push(field);
                    }
                }
            }
            (TypeKind::Enum(own), TypeKind::Enum(more)) => own.extend(more),
            (TypeKind::Input { fields: own, .. }, TypeKind::Input { fields: more, .. }) => {
                own.extend(more);
            }
            (TypeKind::Union(own), TypeKind::Union(more)) => own.extend(more),
            _ => twice.push(format!("(as another kind of type) {name}").into()),
        }
        for field in twice {
            self.problem(text, at, format!("`{name}.{field}` is already defined"));
        }
    }

    fn fields(
        &mut self,
        text: &SchemaText,
        implements: Vec<async_graphql::Positioned<async_graphql::Name>>,
        fields: Vec<async_graphql::Positioned<ast::FieldDefinition>>,
        entity: Option<EntityDef>,
    ) -> ObjectDef {
        let fields = fields
            .into_iter()
            .enumerate()
            .map(|(slot, field)| {
                let (at, field) = (field.pos, field.node);
                let ty = reference(&field.ty.node);
                self.refer(text, at, &ty.name);
                FieldDef {
                    name: field.name.node.as_str().into(),
                    slot,
                    description: field.description.map(|text| text.node),
                    ty,
                    arguments: self.inputs(text, field.arguments),
                    fill: fill(&field.directives),
                    order: directive(&field.directives, "relation")
                        .and_then(|found| text_argument(found, "order")),
                    requires: scopes(&field.directives),
                    is_volatile: directive(&field.directives, "volatile").is_some(),
                    deprecated: directive(&field.directives, "deprecated").map(|found| {
                        text_argument(found, "reason")
                            .unwrap_or_else(|| "No longer supported".to_owned())
                    }),
                }
            })
            .collect();
        let implements = implements
            .iter()
            .map(|name| name.node.as_str().into())
            .collect();
        ObjectDef {
            implements,
            fields,
            entity,
        }
    }

    fn inputs(
        &mut self,
        text: &SchemaText,
        inputs: Vec<async_graphql::Positioned<ast::InputValueDefinition>>,
    ) -> Vec<InputDef> {
        inputs
            .into_iter()
            .map(|input| {
                let (at, input) = (input.pos, input.node);
                self.refer(text, at, &reference(&input.ty.node).name);
                InputDef {
                    name: input.name.node.as_str().into(),
                    description: input.description.map(|text| text.node),
                    ty: input.ty.node,
                    default: input.default_value.map(|value| value.node),
                    matches: directive(&input.directives, "matches").and_then(matches),
                }
            })
            .collect()
    }

    fn refer(&mut self, text: &SchemaText, at: async_graphql::Pos, name: &Arc<str>) {
        let problem = SchemaProblem {
            file: text.file.clone(),
            line: at.line,
            column: at.column,
            message: format!("there is no type `{name}`"),
        };
        self.references.push((problem, name.clone()));
    }

    fn check_references(&mut self) {
        for (problem, name) in std::mem::take(&mut self.references) {
            if !BUILT_IN.contains(&&*name) && !self.index.contains_key(&name) {
                self.problems.push(problem);
            }
        }
    }
}

fn enum_value(value: async_graphql::Positioned<ast::EnumValueDefinition>) -> EnumValue {
    EnumValue {
        name: value.node.value.node.as_str().into(),
        description: value.node.description.map(|text| text.node),
        sorts_by: directive(&value.node.directives, "sortsBy")
            .and_then(|found| text_argument(found, "field")),
    }
}

fn reference(ty: &ast::Type) -> Ref {
    match &ty.base {
        ast::BaseType::Named(name) => Ref {
            name: name.as_str().into(),
            non_null: !ty.nullable,
            list: None,
        },
        ast::BaseType::List(item) => {
            let inner = reference(item);
            Ref {
                name: inner.name,
                non_null: !ty.nullable,
                list: Some(inner.non_null),
            }
        }
    }
}

type Directives = [async_graphql::Positioned<ast::ConstDirective>];

fn directive<'a>(directives: &'a Directives, name: &str) -> Option<&'a ast::ConstDirective> {
    directives
        .iter()
        .map(|found| &found.node)
        .find(|found| found.name.node == name)
}

fn text_argument(directive: &ast::ConstDirective, name: &str) -> Option<String> {
    match directive.get_argument(name).map(|value| &value.node) {
        Some(ConstValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn enum_argument(directive: &ast::ConstDirective, name: &str) -> Option<Arc<str>> {
    match directive.get_argument(name).map(|value| &value.node) {
        Some(ConstValue::Enum(text)) => Some(text.as_str().into()),
        _ => None,
    }
}

fn fill(directives: &Directives) -> Fill {
    let has = |name| directive(directives, name).is_some();
    if let Some(relation) = directive(directives, "relation") {
        if let Some(link) = text_argument(relation, "link") {
            return Fill::Link(link.into());
        }
        if let Some(by) = text_argument(relation, "by") {
            return Fill::By(by.into());
        }
    }
    match () {
        () if has("computed") => Fill::Computed,
        () if has("derived") => Fill::Derived,
        () if has("embedded") => Fill::Embedded,
        () if has("get") => Fill::Get,
        () if has("list") => Fill::List,
        () => Fill::Mapped,
    }
}

fn scopes(directives: &Directives) -> Vec<Vec<String>> {
    let Some(found) = directive(directives, "requiresScopes") else {
        return Vec::new();
    };
    let Some(ConstValue::List(alternatives)) =
        found.get_argument("scopes").map(|value| &value.node)
    else {
        return Vec::new();
    };
    let texts = |value: &ConstValue| match value {
        ConstValue::List(scopes) => scopes
            .iter()
            .filter_map(|scope| match scope {
                ConstValue::String(text) => Some(text.clone()),
                _ => None,
            })
            .collect(),
        ConstValue::String(text) => vec![text.clone()],
        _ => Vec::new(),
    };
    alternatives.iter().map(texts).collect()
}

fn matches(directive: &ast::ConstDirective) -> Option<Matches> {
    if let Some(field) = text_argument(directive, "field") {
        return Some(Matches::Field(field));
    }
    if let Some(link) = text_argument(directive, "link") {
        return Some(Matches::Link(link));
    }
    directive.get_argument("source").map(|_| Matches::Source)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{SchemaText, load, load_shipped};
    use crate::schema::Fill;

    #[test]
    fn the_shipped_graph_reads() {
        let catalog = load_shipped().unwrap();
        let (_, customer) = catalog.entity("Customer").unwrap();
        assert_eq!(
            customer.field("orders").unwrap().fill,
            Fill::By("customer".into())
        );
    }

    #[test]
    fn an_extension_adds_a_field_and_every_mistake_is_told() {
        let text = |file: &str, text: &str| SchemaText {
            file: file.into(),
            text: text.into(),
        };
        let base = text("schema.graphql", crate::schema::SCHEMA);
        let good = text(
            "more.graphql",
            "extend type Customer { loyaltyTier: String }",
        );
        let catalog = load(&[base.clone(), good]).unwrap();
        assert!(
            catalog
                .entity("Customer")
                .unwrap()
                .1
                .field("loyaltyTier")
                .is_some()
        );

        let bad = text(
            "bad.graphql",
            "extend type Custmer { a: Int }\nextend type Order { total: Money b: Nope }",
        );
        let problems = load(&[base, bad]).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
