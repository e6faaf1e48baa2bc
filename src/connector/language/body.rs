//! Bodies and variables given as a structure, whose leaves are templates.

use super::Language;
use super::error::{EvaluateError, LanguageError};
use super::expression::Expression;
use super::scan::{self, NameUse, Piece, PieceKind};
use super::template::{Context, TextTemplate};
use crate::protocol::tree::Tree;

/// Levels of maps and lists in a body.
pub const DEPTH_MAX: usize = 64;

/// A fault in one leaf of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct LeafError {
    /// The keys and places that lead to the leaf.
    pub path: Vec<Box<str>>,
    /// The fault; its offset counts from the start of the leaf's text.
    #[source]
    pub error: LanguageError,
}

/// A name that a leaf reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafName {
    /// The keys and places that lead to the leaf.
    pub path: Vec<Box<str>>,
    /// The name and its place in the leaf's text.
    pub read: NameUse,
}

/// A structure of constants, expressions and texts that renders to a tree of the same structure.
#[derive(Debug, Clone)]
pub struct ValueTemplate {
    node: Node,
    names: Vec<LeafName>,
}

#[derive(Debug, Clone)]
enum Node {
    /// A value without templates.
    Const(Tree),
    /// A text that is exactly one `{{ expression }}`: keeps the type of its value.
    Whole(Expression),
    /// Any other text with templates.
    Text(TextTemplate),
    List(Vec<Node>),
    Map(Vec<Member>),
}

#[derive(Debug, Clone)]
struct Member {
    key: Box<str>,
    /// Whether the key was written with `?`, so that nothing leaves it out.
    is_optional: bool,
    node: Node,
}

impl ValueTemplate {
    /// Compiles a structure. A map key that ends in `?` marks a member that is left out when its expression gives nothing.
    pub fn compile(structure: &Tree, language: &Language) -> Result<Self, LeafError> {
        let mut compiler = Compiler {
            language,
            path: Vec::new(),
            names: Vec::new(),
        };
        match compiler.node(structure) {
            Ok(node) => Ok(Self {
                node,
                names: compiler.names,
            }),
            Err(error) => Err(LeafError {
                path: compiler.path,
                error,
            }),
        }
    }

    /// The top-level names that its leaves read.
    pub fn names(&self) -> &[LeafName] {
        &self.names
    }

    /// Renders it; an undefined name outside an optional member is an error.
    pub fn render(&self, context: &Context) -> Result<Tree, EvaluateError> {
        self.node.render(context)
    }
}

struct Compiler<'a> {
    language: &'a Language,
    /// Where the compiler is; stays there when it fails.
    path: Vec<Box<str>>,
    names: Vec<LeafName>,
}

impl Compiler<'_> {
    fn node(&mut self, structure: &Tree) -> Result<Node, LanguageError> {
        if self.path.len() > DEPTH_MAX {
            return Err(LanguageError::new(
                format!("A body is at most {DEPTH_MAX} levels deep."),
                0,
            ));
        }
        match structure {
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => Ok(Node::Const(structure.clone())),
            Tree::Text(text) => self.leaf(text),
            Tree::List(items) => {
                let mut nodes = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    self.path.push(at.to_string().into());
                    nodes.push(self.node(item)?);
                    self.path.pop();
                }
                Ok(Node::List(nodes))
            }
            Tree::Map(members) => {
                let mut nodes = Vec::with_capacity(members.len());
                for (key, member) in members {
                    self.path.push(key.clone());
                    nodes.push(self.member(key, member)?);
                    self.path.pop();
                }
                Ok(Node::Map(nodes))
            }
        }
    }

    fn member(&mut self, key: &str, member: &Tree) -> Result<Member, LanguageError> {
        if key.contains("{{") || key.contains("{%") {
            return Err(LanguageError::new(
                "A key can't hold a template, because values never change the structure.",
                0,
            ));
        }
        let node = self.node(member)?;
        let (key, is_optional) = match key.strip_suffix('?') {
            Some(key) => (key, true),
            None => (key, false),
        };
        if is_optional && !matches!(node, Node::Whole(_)) {
            return Err(LanguageError::new(
                "The value of an optional member must be one `{{ expression }}`.",
                0,
            ));
        }
        Ok(Member {
            key: key.into(),
            is_optional,
            node,
        })
    }

    fn leaf(&mut self, text: &str) -> Result<Node, LanguageError> {
        let pieces = scan::pieces(text)?;
        if let [
            Piece {
                kind: PieceKind::Print,
                inner,
                inner_start,
                ..
            },
        ] = pieces.as_slice()
        {
            let expression = Expression::compile(inner, self.language)
                .map_err(|error| error.shifted(*inner_start))?;
            self.add_names(expression.names(), *inner_start);
            return Ok(Node::Whole(expression));
        }
        let template = TextTemplate::compile(text, self.language)?;
        self.add_names(template.names(), 0);
        Ok(match template.as_literal() {
            Some(literal) => Node::Const(Tree::Text(literal.into())),
            None => Node::Text(template),
        })
    }

    fn add_names(&mut self, names: &[NameUse], base: usize) {
        for read in names {
            self.names.push(LeafName {
                path: self.path.clone(),
                read: read.shifted(base),
            });
        }
    }
}

impl Node {
    fn render(&self, context: &Context) -> Result<Tree, EvaluateError> {
        match self {
            Self::Const(tree) => Ok(tree.clone()),
            Self::Whole(expression) => match expression.find(&context.scope())? {
                Some(value) => Ok(value.into_owned()),
                None => Err(EvaluateError::Undefined {
                    name: expression.subject(),
                }),
            },
            Self::Text(template) => Ok(Tree::Text(template.render(context)?.into())),
            Self::List(nodes) => nodes
                .iter()
                .map(|node| node.render(context))
                .collect::<Result<_, _>>()
                .map(Tree::List),
            Self::Map(members) => {
                let mut rendered = Vec::with_capacity(members.len());
                for member in members {
                    if let Some(value) = member.render(context)? {
                        rendered.push((member.key.clone(), value));
                    }
                }
                Ok(Tree::Map(rendered))
            }
        }
    }
}

impl Member {
    fn render(&self, context: &Context) -> Result<Option<Tree>, EvaluateError> {
        match (&self.node, self.is_optional) {
            (Node::Whole(expression), true) => match expression.find(&context.scope())? {
                None => Ok(None),
                Some(value) if *value == Tree::Null => Ok(None),
                Some(value) => Ok(Some(value.into_owned())),
            },
            (node, _) => node.render(context).map(Some),
        }
    }
}
