//! Makes operations that are valid for a graph, out of a seed.

use std::collections::HashMap;

use async_graphql::parser::types::Type;
use serde_json::Value as Json;
use tributary::record::value::TypeId;
use tributary::schema::{Catalog, InputDef, ObjectDef, Ref, TypeKind};

use super::operation::{Document, Fragment, Operation, Selection, Variable};
use super::random::Random;
use super::value::Values;

const DEPTH_MAX: usize = 6;
const FIELDS_MAX: usize = 16;

/// How one use of a response key must agree with others in the same place.
#[derive(Debug, Clone)]
struct Use {
    parent: String,
    is_object: bool,
    name: String,
    arguments: Vec<(String, String)>,
    ty: String,
}

impl Use {
    /// Whether both may stand under one response key.
    fn merges(&self, other: &Use) -> bool {
        let mut arguments = [self.arguments.clone(), other.arguments.clone()];
        arguments.iter_mut().for_each(|given| given.sort());
        let is_same = self.name == other.name && arguments[0] == arguments[1];
        let is_apart = self.is_object && other.is_object && self.parent != other.parent;
        self.ty == other.ty && (is_same || is_apart)
    }
}

struct Generator<'a> {
    catalog: &'a Catalog,
    conditions: &'a Conditions,
    random: &'a mut Random,
    document: Document,
    uses: HashMap<String, Vec<Use>>,
    open: Vec<usize>,
    fields_left: usize,
}

/// For each composite type those that a value of it may have as well.
pub struct Conditions(HashMap<String, Vec<String>>);

impl Conditions {
    pub fn new(catalog: &Catalog) -> Self {
        let composite: Vec<(String, Vec<TypeId>)> = catalog
            .types()
            .iter()
            .map(|def| (def.name.to_string(), catalog.possible(&def.name)))
            .filter(|(_, possible)| !possible.is_empty())
            .collect();
        let overlapping = |possible: &[TypeId]| {
            composite
                .iter()
                .filter(|(_, other)| other.iter().any(|ty| possible.contains(ty)))
                .map(|(name, _)| name.clone())
                .collect()
        };
        Self(
            composite
                .iter()
                .map(|(name, possible)| (name.clone(), overlapping(possible)))
                .collect(),
        )
    }
}

/// A random valid document.
pub fn document(catalog: &Catalog, conditions: &Conditions, random: &mut Random) -> Document {
    let mut generator = Generator {
        catalog,
        conditions,
        random,
        document: Document::default(),
        uses: HashMap::new(),
        open: Vec::new(),
        fields_left: FIELDS_MAX,
    };
    let count = if generator.random.chance(85) { 1 } else { 3 };
    for index in 0..count {
        let is_named = count > 1 || generator.random.chance(40);
        let set = generator.set("Query", 0);
        let name = is_named.then(|| format!("Operation{index}"));
        generator.document.operations.push(Operation { name, set });
        generator.fields_left = FIELDS_MAX / 3;
    }
    generator.document.chosen = generator.random.below(count);
    generator.document
}

/// The same document with other values for its variables.
pub fn with_other_variables(
    catalog: &Catalog,
    random: &mut Random,
    document: &Document,
) -> Document {
    let mut other = document.clone();
    for variable in other.variables.values_mut() {
        let ty = Type::new(&variable.ty).unwrap();
        let mut values = Values {
            catalog,
            random,
            variables: None,
        };
        let is_flag = ty.to_string().starts_with("Boolean");
        if !is_flag {
            variable.value = values.sent(&ty, variable.default.is_some());
        } else if let Some(Json::Bool(flag)) = &variable.value {
            variable.value = Some(Json::Bool(!flag));
        }
    }
    other
}

impl Generator<'_> {
    fn set(&mut self, ty: &str, depth: usize) -> Vec<Selection> {
        let mut set = Vec::new();
        let count = 1 + self.random.below(if depth == 0 { 4 } else { 5 });
        for _ in 0..count {
            let selection = match self.random.below(100) {
                _ if self.fields_left == 0 => None,
                0..8 => Some(self.type_name(ty)),
                8..20 => Some(self.inline(ty, depth)),
                20..32 if depth < DEPTH_MAX => self.spread(ty, depth),
                _ => self.field(ty, depth),
            };
            set.extend(selection);
        }
        if set.is_empty() {
            set.push(self.type_name(ty));
        }
        set
    }

    fn type_name(&mut self, ty: &str) -> Selection {
        let found = Ref {
            name: "String".into(),
            non_null: true,
            list: None,
        };
        let (alias, arguments) = self.key(ty, "__typename", Vec::new(), &found);
        Selection::Field {
            alias,
            name: "__typename".to_owned(),
            arguments,
            directives: self.directives(),
            set: Vec::new(),
        }
    }

    fn inline(&mut self, ty: &str, depth: usize) -> Selection {
        let on = if self.random.chance(25) {
            None
        } else {
            Some(self.condition(ty))
        };
        let set = self.set(on.as_deref().unwrap_or(ty), depth + 1);
        Selection::Inline {
            directives: self.directives(),
            on,
            set,
        }
    }

    fn spread(&mut self, ty: &str, depth: usize) -> Option<Selection> {
        let known: Vec<usize> = (0..self.document.fragments.len())
            .filter(|index| !self.open.contains(index))
            .filter(|index| self.overlaps(ty, &self.document.fragments[*index].on))
            .collect();
        let fragment = if !known.is_empty() && self.random.chance(60) {
            *self.random.pick(&known)
        } else {
            let index = self.document.fragments.len();
            let on = self.condition(ty);
            self.document.fragments.push(Fragment {
                name: format!("Part{index}"),
                on: on.clone(),
                set: Vec::new(),
            });
            self.open.push(index);
            let set = self.set(&on, depth + 1);
            self.open.pop();
            self.document.fragments[index].set = set;
            index
        };
        Some(Selection::Spread {
            fragment,
            directives: self.directives(),
        })
    }

    /// A type that a value of the given type may have.
    fn condition(&mut self, ty: &str) -> String {
        let conditions = self.conditions;
        self.random.pick(&conditions.0[ty]).clone()
    }

    fn overlaps(&self, left: &str, right: &str) -> bool {
        self.conditions.0[left].iter().any(|name| name == right)
    }

    fn object(&self, ty: &str) -> Option<(&ObjectDef, bool)> {
        match &self.catalog.named(ty)?.kind {
            TypeKind::Object(object) => Some((object, true)),
            TypeKind::Interface(object) => Some((object, false)),
            TypeKind::Scalar { .. }
            | TypeKind::Enum(_)
            | TypeKind::Union(_)
            | TypeKind::Input { .. } => None,
        }
    }

    fn field(&mut self, ty: &str, depth: usize) -> Option<Selection> {
        let catalog = self.catalog;
        let fields: Vec<(String, Ref, usize)> = {
            let (object, _) = self.object(ty)?;
            object
                .fields
                .iter()
                .filter(|field| depth < DEPTH_MAX || catalog.is_leaf(&field.ty.name))
                .map(|field| (field.name.to_string(), field.ty.clone(), field.slot))
                .collect()
        };
        if fields.is_empty() {
            return None;
        }
        let (name, found, slot) = self.random.pick(&fields).clone();
        self.fields_left = self.fields_left.saturating_sub(1);
        let arguments = self.arguments(ty, slot);
        let (alias, arguments) = self.key(ty, &name, arguments, &found);
        let set = if self.catalog.is_leaf(&found.name) {
            Vec::new()
        } else {
            self.set(&found.name, depth + 1)
        };
        Some(Selection::Field {
            alias,
            name,
            arguments,
            directives: self.directives(),
            set,
        })
    }

    fn definitions(&self, ty: &str, slot: usize) -> Vec<(String, Type, bool)> {
        let of = |argument: &InputDef| {
            let name = argument.name.to_string();
            (name, argument.ty.clone(), argument.default.is_some())
        };
        let (object, _) = self.object(ty).unwrap();
        object.fields[slot].arguments.iter().map(of).collect()
    }

    fn arguments(&mut self, ty: &str, slot: usize) -> Vec<(String, String)> {
        let mut given = Vec::new();
        for (name, ty, has_default) in self.definitions(ty, slot) {
            let is_required = !ty.nullable && !has_default;
            if is_required || self.random.chance(40) {
                let mut values = Values {
                    catalog: self.catalog,
                    random: self.random,
                    variables: Some(&mut self.document.variables),
                };
                let value = values.literal(&ty, has_default, 0);
                given.push((name, value));
            }
        }
        if given.len() > 1 && self.random.chance(30) {
            given.reverse();
        }
        given
    }

    /// Chooses an alias under which the field agrees with every other use of that key; a use of the same key may bring
    /// its arguments along, so that fields merge.
    fn key(
        &mut self,
        parent: &str,
        name: &str,
        arguments: Vec<(String, String)>,
        ty: &Ref,
    ) -> (Option<String>, Vec<(String, String)>) {
        let mut wanted = Use {
            parent: parent.to_owned(),
            is_object: self.object(parent).is_some_and(|(_, is_object)| is_object),
            name: name.to_owned(),
            arguments,
            ty: format!("{ty:?}"),
        };
        let mut candidates = vec![None];
        if self.random.chance(30) {
            let alias = *self.random.pick(&["a", "b", "c", "id", "name", "nodes"]);
            candidates.insert(0, Some(alias.to_owned()));
        }
        let fresh = format!("x{}", self.uses.len());
        candidates.push(Some(fresh));
        for alias in candidates {
            let key = alias.clone().unwrap_or_else(|| name.to_owned());
            let uses = self.uses.entry(key).or_default();
            let same = uses
                .iter()
                .find(|used| used.name == name && used.parent == parent);
            if let Some(same) = same {
                wanted.arguments = same.arguments.clone();
            }
            if uses.iter().all(|used| used.merges(&wanted)) {
                uses.push(wanted.clone());
                return (alias, wanted.arguments);
            }
        }
        unreachable!("a fresh alias agrees with everything")
    }

    fn directives(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for name in ["skip", "include"] {
            if !self.random.chance(8) {
                continue;
            }
            // More is kept than is left out.
            let keeps = self.random.chance(70) == (name == "include");
            let flag = if self.random.chance(50) {
                self.flag(keeps)
            } else {
                keeps.to_string()
            };
            found.push(format!("@{name}(if: {flag})"));
        }
        found
    }

    fn flag(&mut self, value: bool) -> String {
        let name = format!("f{}", self.document.variables.len());
        let has_default = self.random.chance(30);
        let is_sent = !has_default || self.random.chance(50);
        let bang = if has_default && self.random.chance(50) {
            ""
        } else {
            "!"
        };
        let variable = Variable {
            ty: format!("Boolean{bang}"),
            default: has_default.then(|| (!value || !is_sent).to_string()),
            value: is_sent.then_some(Json::Bool(value)),
        };
        self.document.variables.insert(name.clone(), variable);
        format!("${name}")
    }
}
