//! What callers may see beside scopes: rules on records, masks on values, and the view that they make for one caller.

pub mod mask;
pub mod need;
pub mod row;
pub mod sight;
pub mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::auth::caller::Caller;
use crate::config::section::policy::{MaskKind, PolicySection};
use crate::config::yaml::PathSegment;
use crate::connector::language::Language;
use crate::protocol::tree::Tree;
use crate::record::value::TypeId;
use crate::resolve::policy::need::Needs;
use crate::resolve::policy::row::{RowRule, from_json};
use crate::resolve::policy::view::{MaskNode, Masks, View, ViewKey};
use crate::schema::{Catalog, FieldDef, Fill, ObjectDef, TypeKind};

/// A scope that changes answers and that the graph does not name.
pub const BYPASS: &str = "cache:bypass";

/// The masks of one role on one entity: paths of slots.
type PathMasks = Vec<(Vec<usize>, MaskKind)>;

/// The policy of a gateway, held against its graph.
#[derive(Debug, Default)]
pub struct Policy {
    needs: Arc<Needs>,
    scopes: BTreeSet<String>,
    rows: BTreeMap<String, BTreeMap<Arc<str>, Arc<RowRule>>>,
    masks: BTreeMap<String, BTreeMap<TypeId, PathMasks>>,
    claims: BTreeSet<String>,
    /// Types that the data of entities can have in it.
    data_types: BTreeSet<TypeId>,
}

/// Something wrong with the section `policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// Where, below the section.
    pub path: Vec<PathSegment>,
    /// What is wrong, after the path as people write it.
    pub message: String,
}

impl PolicyProblem {
    fn at(path: &[&str], why: impl std::fmt::Display) -> Self {
        Self {
            message: format!("`policy.{}`: {why}", path.join(".")),
            path: path.iter().copied().map(PathSegment::from).collect(),
        }
    }
}

impl Policy {
    /// Compiles the section, or says everything that is wrong with it.
    pub fn compile(catalog: &Catalog, section: &PolicySection) -> Result<Self, Vec<PolicyProblem>> {
        let mut problems = Vec::new();
        let unknown = |entity: &str| format!("the graph has no entity `{entity}`.");
        let needs = Needs::of(catalog);
        let mut scopes = needs.scopes();
        scopes.insert(BYPASS.to_owned());
        let mut policy = Self {
            needs: Arc::new(needs),
            scopes,
            data_types: data_types(catalog),
            ..Self::default()
        };
        let language = Language::default();
        for (role, rules) in &section.rows {
            for (entity, text) in rules {
                let path = ["rows", role, entity];
                let Some((def, object)) = catalog.entity(entity) else {
                    problems.push(PolicyProblem::at(&path, unknown(entity)));
                    continue;
                };
                match RowRule::compile(catalog, object, text, &language) {
                    Ok(rule) => {
                        policy.claims.extend(rule.claims().map(str::to_owned));
                        let of_role = policy.rows.entry(role.clone()).or_default();
                        of_role.insert(def.name.clone(), Arc::new(rule));
                    }
                    Err(why) => problems.push(PolicyProblem::at(&path, why)),
                }
            }
        }
        for (role, masks) in &section.masks {
            for (entity, paths) in masks {
                let Some((def, object)) = catalog.entity(entity) else {
                    let path = ["masks", role, entity];
                    problems.push(PolicyProblem::at(&path, unknown(entity)));
                    continue;
                };
                let of_role = policy.masks.entry(role.clone()).or_default();
                let found = of_role.entry(def.id).or_default();
                for (path, kind) in paths {
                    match slots(catalog, object, path, *kind) {
                        Ok(ways) => found.extend(ways.into_iter().map(|way| (way, *kind))),
                        Err(why) => {
                            problems.push(PolicyProblem::at(&["masks", role, entity, path], why));
                        }
                    }
                }
            }
        }
        if problems.is_empty() {
            Ok(policy)
        } else {
            Err(problems)
        }
    }

    /// The policy of a graph without rules and masks: scopes alone decide.
    pub fn of_scopes(catalog: &Catalog) -> Self {
        Self::compile(catalog, &PolicySection::default()).unwrap_or_default()
    }

    /// Names the caller's view: a digest of everything about the caller that can make an answer differ, but for what `viewer`
    /// tells; a plan that selects `viewer` depends on issuer and subject as well.
    pub fn view_key(&self, caller: &Caller) -> ViewKey {
        let mut hash = Sha256::new();
        let mut add = |kind: u8, text: &str| {
            hash.update([kind]);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        for scope in caller.scopes.intersection(&self.scopes) {
            add(1, scope);
        }
        for role in caller.roles.iter().filter(|role| self.is_ruled(role)) {
            add(2, role);
        }
        for (name, value) in self.claims_of(caller) {
            add(3, &name);
            add(4, &value.to_string());
        }
        ViewKey(hash.finalize().into())
    }

    /// The caller's view.
    pub fn view(&self, caller: &Caller) -> View {
        let unmet = |need: &crate::auth::scope::Requirement| !need.is_met_by(caller);
        let denied: HashMap<_, _> = self
            .needs
            .fields
            .iter()
            .filter(|(_, need)| unmet(need))
            .map(|(at, need)| (*at, need.clone()))
            .collect();
        let denied_types = self
            .needs
            .types
            .iter()
            .filter(|(_, need)| unmet(need))
            .map(|(ty, need)| (*ty, need.clone()))
            .collect();
        let members = self
            .claims_of(caller)
            .into_iter()
            .map(|(name, value)| (name.into(), from_json(&value)))
            .collect();
        View {
            key: self.view_key(caller),
            needs: self.needs.clone(),
            hides_data: denied.keys().any(|(ty, _)| self.data_types.contains(ty)),
            denied,
            denied_types,
            masks: self.masks_of(caller),
            rules: self.rules_of(caller),
            caller: Tree::Map(members),
        }
    }

    fn is_ruled(&self, role: &str) -> bool {
        self.rows.contains_key(role) || self.masks.contains_key(role)
    }

    fn rules_of(&self, caller: &Caller) -> BTreeMap<Arc<str>, Vec<Arc<RowRule>>> {
        let mut rules: BTreeMap<Arc<str>, Vec<Arc<RowRule>>> = BTreeMap::new();
        for role in &caller.roles {
            for (entity, rule) in self.rows.get(role).into_iter().flatten() {
                rules.entry(entity.clone()).or_default().push(rule.clone());
            }
        }
        rules
    }

    fn masks_of(&self, caller: &Caller) -> BTreeMap<TypeId, Masks> {
        let mut paths: BTreeMap<(TypeId, &[usize]), Vec<MaskKind>> = BTreeMap::new();
        for role in &caller.roles {
            for (ty, masks) in self.masks.get(role).into_iter().flatten() {
                for (path, kind) in masks {
                    paths.entry((*ty, path)).or_default().push(*kind);
                }
            }
        }
        let mut all: BTreeMap<TypeId, Masks> = BTreeMap::new();
        for ((ty, path), kinds) in paths {
            // Of several masks the one that leaves least counts, as the kinds are ordered.
            let kind = kinds.iter().max().copied();
            let Some(kind) = kind.filter(|kind| *kind != MaskKind::Clear) else {
                continue;
            };
            insert(all.entry(ty).or_default(), path, kind);
        }
        all
    }

    /// The claims that rules read, with the names that every caller has.
    fn claims_of(&self, caller: &Caller) -> Vec<(String, serde_json::Value)> {
        let texts =
            |texts: &BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().into();
        self.claims
            .iter()
            .filter_map(|name| {
                let value = match name.as_str() {
                    "subject" => caller.subject.as_str().into(),
                    "issuer" => caller.issuer.as_str().into(),
                    "tenant" => caller.tenant.as_deref()?.into(),
                    "roles" => texts(&caller.roles),
                    "scopes" => texts(&caller.scopes),
                    other => caller.claims.get(other)?.clone(),
                };
                Some((name.clone(), value))
            })
            .collect()
    }
}

fn insert(masks: &mut Masks, path: &[usize], kind: MaskKind) {
    match path {
        [] => {}
        [slot] => {
            masks.insert(*slot, MaskNode::Leaf(kind));
        }
        [slot, rest @ ..] => {
            let node = masks
                .entry(*slot)
                .or_insert_with(|| MaskNode::Inside(Masks::new()));
            if let MaskNode::Inside(inner) = node {
                insert(inner, rest, kind);
            }
        }
    }
}

/// The slots that a dotted path leads through, and those of what is derived from the value at its end.
fn slots(
    catalog: &Catalog,
    entity: &ObjectDef,
    path: &str,
    kind: MaskKind,
) -> Result<Vec<Vec<usize>>, String> {
    let mut way = Vec::new();
    let mut object = entity;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let field = object
            .field(name)
            .filter(|field| matches!(field.fill, Fill::Mapped | Fill::Derived | Fill::Embedded))
            .ok_or_else(|| format!("there is no mapped field `{name}`."))?;
        if names.peek().is_some() {
            way.push(field.slot);
            let next = catalog.object(&field.ty.name);
            object = next.ok_or_else(|| format!("`{name}` has no fields."))?.1;
            continue;
        }
        if !may_be_masked(catalog, field, kind) {
            return Err(format!(
                "a value of type `{}` can't be masked so.",
                field.ty.name
            ));
        }
        let derived = object.fields.iter().filter(|other| {
            other.fill == Fill::Derived && may_be_masked(catalog, other, MaskKind::Initial)
        });
        let masked = std::iter::once(field).chain(derived.filter(|other| other.slot != field.slot));
        return Ok(masked
            .map(|field| way.iter().copied().chain([field.slot]).collect())
            .collect());
    }
    Err("the path is empty.".to_owned())
}

fn may_be_masked(catalog: &Catalog, field: &FieldDef, kind: MaskKind) -> bool {
    let is_text = catalog.is_leaf(&field.ty.name)
        && catalog.enum_values(&field.ty.name).is_none()
        && !matches!(&*field.ty.name, "Boolean" | "Int" | "Float" | "JSON");
    is_text || (kind == MaskKind::Redact && !field.ty.non_null)
}

/// The entities, and the types that mapped fields lead to from them.
fn data_types(catalog: &Catalog) -> BTreeSet<TypeId> {
    let mut found: BTreeSet<TypeId> = BTreeSet::new();
    let mut open: Vec<TypeId> = catalog.entities().map(|(def, _)| def.id).collect();
    while let Some(ty) = open.pop() {
        if !found.insert(ty) {
            continue;
        }
        let Some(TypeKind::Object(object)) = catalog.get(ty).map(|def| &def.kind) else {
            continue;
        };
        let data = object
            .fields
            .iter()
            .filter(|field| matches!(field.fill, Fill::Mapped | Fill::Embedded));
        for field in data {
            open.extend(catalog.object(&field.ty.name).map(|(def, _)| def.id));
        }
    }
    found
}
