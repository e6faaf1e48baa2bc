//! Turns elements into a tree, by the rules of [`SoapReply`](super::SoapReply).

use std::collections::{HashMap, HashSet};

use crate::protocol::error::DecodeError;
use crate::protocol::limits::Limits;
use crate::protocol::soap::{Note, SoapOptions, Version};
use crate::protocol::tree::Tree;
use crate::protocol::xml::{Attribute, Element, Node};

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XOP: &str = "http://www.w3.org/2004/08/xop/include";

/// Maps one envelope; counts what multi-references expand to.
pub(super) struct Mapper<'e> {
    options: &'e SoapOptions,
    limits: &'e Limits,
    targets: HashMap<&'e str, &'e Element>,
    referenced: HashSet<&'e str>,
    following: Vec<String>,
    nodes: usize,
    depth: usize,
    notes: Vec<Note>,
}

impl<'e> Mapper<'e> {
    /// Finds the multi-references of the envelope, of which most have none.
    pub(super) fn new(envelope: &'e Element, options: &'e SoapOptions, limits: &'e Limits) -> Self {
        let mut mapper = Self {
            options,
            limits,
            targets: HashMap::new(),
            referenced: HashSet::new(),
            following: Vec::new(),
            nodes: 0,
            depth: 0,
            notes: Vec::new(),
        };
        let mut waiting = vec![envelope];
        while let Some(element) = waiting.pop() {
            if let Some(id) = own_id(element) {
                mapper.targets.entry(id).or_insert(element);
            }
            if let Some(id) = reference(element) {
                mapper.referenced.insert(id);
            }
            waiting.extend(element.elements());
        }
        mapper
    }

    /// What was left out or cut.
    pub(super) fn into_notes(self) -> Vec<Note> {
        self.notes
    }

    /// The Body: its children as members, without those that are only targets of references.
    pub(super) fn body(&mut self, body: &Element) -> Result<Tree, DecodeError> {
        let mut members = Members::default();
        for (index, child) in body.elements().enumerate() {
            let is_target = own_id(child).is_some_and(|id| self.referenced.contains(id));
            if index > 0 && is_target {
                continue;
            }
            self.member(child, &mut members)?;
        }
        Ok(members.finish())
    }

    /// The element's children as members, without its attributes and text.
    pub(super) fn members(&mut self, element: &Element) -> Result<Tree, DecodeError> {
        let mut members = Members::default();
        for child in element.elements() {
            self.member(child, &mut members)?;
        }
        Ok(members.finish())
    }

    /// The element by the rules.
    pub(super) fn content(&mut self, element: &Element) -> Result<Tree, DecodeError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(DecodeError::TooManyNodes {
                limit: self.limits.nodes,
            });
        }
        let limit = self.limits.depth_effective();
        if self.depth >= limit {
            return Err(DecodeError::TooDeep { limit });
        }
        self.depth += 1;
        let tree = self.value(element);
        self.depth -= 1;
        tree
    }

    fn value(&mut self, element: &Element) -> Result<Tree, DecodeError> {
        if matches!(
            element.attribute(Some(XSI), "nil").map(str::trim),
            Some("true" | "1")
        ) {
            return Ok(Tree::Null);
        }
        if let Some(target) = reference(element).and_then(|id| self.targets.get_key_value(id)) {
            let (&id, &target) = target;
            return self.follow(id, target);
        }
        if element
            .elements()
            .any(|child| child.is(Some(XOP), "Include"))
        {
            self.note(Note::AttachmentLeftOut);
            return Ok(Tree::Null);
        }
        let mut members = self.attributes(element);
        let has_elements = element.elements().next().is_some();
        if !has_elements && members.list.is_empty() {
            return Ok(Tree::Text(element.text().into_boxed_str()));
        }
        if let Some(kind) = element.attribute(Some(XSI), "type") {
            members
                .list
                .push(("@type".into(), Tree::Text(local_part(kind).into())));
        }
        let text = if has_elements {
            loose_text(element)
        } else {
            Some(element.text())
        };
        for child in element.elements() {
            self.member(child, &mut members)?;
        }
        if let Some(text) = text {
            members.list.push(("#text".into(), Tree::from(text)));
        }
        Ok(members.finish())
    }

    fn member(&mut self, child: &Element, members: &mut Members) -> Result<(), DecodeError> {
        let key = self.key(child.namespace.as_deref(), &child.local);
        let value = self.content(child)?;
        let always = self.options.many.iter().any(|name| **name == *key);
        members.add(key, value, always);
        Ok(())
    }

    fn follow(&mut self, id: &str, target: &Element) -> Result<Tree, DecodeError> {
        if self.following.iter().any(|followed| followed == id) {
            self.note(Note::CycleCut);
            return Ok(Tree::Null);
        }
        self.following.push(id.to_owned());
        let tree = self.content(target);
        self.following.pop();
        tree
    }

    fn attributes(&self, element: &Element) -> Members {
        let is_target = own_id(element).is_some_and(|id| self.referenced.contains(id));
        let mut members = Members::default();
        for attribute in &element.attributes {
            let is_id = is_target && attribute.namespace.is_none() && &*attribute.local == "id";
            if is_id || is_plumbing(attribute) {
                continue;
            }
            let name = self.key(attribute.namespace.as_deref(), &attribute.local);
            members.list.push((
                format!("@{name}").into_boxed_str(),
                Tree::Text(attribute.value.clone()),
            ));
        }
        members
    }

    fn key(&self, namespace: Option<&str>, local: &str) -> Box<str> {
        match namespace {
            Some(uri) if !self.is_known(uri) => format!("{{{uri}}}{local}").into_boxed_str(),
            Some(_) | None => local.into(),
        }
    }

    fn is_known(&self, uri: &str) -> bool {
        self.options.lenient
            || uri == XML
            || self
                .options
                .namespaces
                .iter()
                .any(|(_, known)| known == uri)
    }

    fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// The part after the prefix of a QName, whether or not the prefix is declared.
pub(super) fn local_part(name: &str) -> &str {
    let name = name.trim();
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// Members in document order; repeats become a list at the place of the first.
#[derive(Default)]
struct Members {
    list: Vec<(Box<str>, Tree)>,
    places: HashMap<Box<str>, Place>,
}

struct Place {
    index: usize,
    is_list: bool,
}

impl Members {
    fn add(&mut self, key: Box<str>, value: Tree, always_list: bool) {
        let Some(place) = self.places.get_mut(&key) else {
            let index = self.list.len();
            self.places.insert(
                key.clone(),
                Place {
                    index,
                    is_list: always_list,
                },
            );
            self.list.push((
                key,
                if always_list {
                    Tree::List(vec![value])
                } else {
                    value
                },
            ));
            return;
        };
        let Some((_, known)) = self.list.get_mut(place.index) else {
            return;
        };
        match known {
            Tree::List(items) if place.is_list => items.push(value),
            single => {
                *single = Tree::List(vec![std::mem::take(single), value]);
                place.is_list = true;
            }
        }
    }

    fn finish(self) -> Tree {
        Tree::Map(self.list)
    }
}

/// Text between elements, when it is more than white space.
fn loose_text(element: &Element) -> Option<String> {
    let text: String = element
        .children
        .iter()
        .filter_map(|child| match child {
            Node::Text(text) if !text.trim_ascii().is_empty() => Some(&**text),
            Node::Text(_) | Node::Element(_) => None,
        })
        .collect();
    (!text.is_empty()).then_some(text)
}

fn own_id(element: &Element) -> Option<&str> {
    element
        .attribute(Some(Version::V1_2.encoding()), "id")
        .or_else(|| element.attribute(None, "id"))
}

/// The id an element stands for; only an empty one does, so that a vendor's own `href` stays data.
fn reference(element: &Element) -> Option<&str> {
    if !element.children.is_empty() {
        return None;
    }
    element
        .attribute(Some(Version::V1_2.encoding()), "ref")
        .or_else(|| {
            element
                .attribute(None, "href")
                .and_then(|link| link.strip_prefix('#'))
        })
}

fn is_plumbing(attribute: &Attribute) -> bool {
    attribute.namespace.as_deref().is_some_and(|uri| {
        uri == XSI
            || [Version::V1_1, Version::V1_2]
                .iter()
                .any(|version| uri == version.namespace() || uri == version.encoding())
    })
}
