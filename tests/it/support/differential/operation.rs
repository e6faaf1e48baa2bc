//! GraphQL operations as a tree that can be printed, and cut down to what still shows a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

#[derive(Debug, Clone, Default)]
pub struct Document {
    pub operations: Vec<Operation>,
    /// The operation to run.
    pub chosen: usize,
    pub fragments: Vec<Fragment>,
    pub variables: BTreeMap<String, Variable>,
}

#[derive(Debug, Clone)]
pub struct Operation {
    pub name: Option<String>,
    pub set: Vec<Selection>,
}

#[derive(Debug, Clone)]
pub struct Fragment {
    pub name: String,
    pub on: String,
    pub set: Vec<Selection>,
}

#[derive(Debug, Clone)]
pub struct Variable {
    pub ty: String,
    pub default: Option<String>,
    /// The value that is sent; none when the request leaves it out.
    pub value: Option<Json>,
}

#[derive(Debug, Clone)]
pub enum Selection {
    Field {
        alias: Option<String>,
        name: String,
        arguments: Vec<(String, String)>,
        directives: Vec<String>,
        set: Vec<Selection>,
    },
    Inline {
        on: Option<String>,
        directives: Vec<String>,
        set: Vec<Selection>,
    },
    Spread {
        fragment: usize,
        directives: Vec<String>,
    },
}

/// A request as both sides take it.
#[derive(Debug, Clone)]
pub struct Case {
    pub query: String,
    pub operation_name: Option<String>,
    pub variables: Map<String, Json>,
}

impl Document {
    pub fn case(&self) -> Case {
        let named = self.operations.len() > 1;
        let sent = self.variables.iter().filter_map(|(name, variable)| {
            let value = variable.value.clone()?;
            Some((name.clone(), value))
        });
        Case {
            query: self.print(),
            operation_name: named
                .then(|| self.operations[self.chosen].name.clone())
                .flatten(),
            variables: sent.collect(),
        }
    }

    fn print(&self) -> String {
        let mut out = String::new();
        let mut spread = BTreeSet::new();
        for operation in &self.operations {
            let mut reached = BTreeSet::new();
            self.reach(&operation.set, &mut reached);
            let mut text = String::new();
            self.print_set(&operation.set, &mut text);
            let mut used = variables_in(&text);
            for fragment in &reached {
                let mut text = String::new();
                self.print_set(&self.fragments[*fragment].set, &mut text);
                used.extend(variables_in(&text));
            }
            self.print_head(operation, &used, &mut out);
            out.push_str(&text);
            out.push('\n');
            spread.extend(reached);
        }
        for fragment in spread {
            let fragment = &self.fragments[fragment];
            let _ = write!(out, "fragment {} on {} ", fragment.name, fragment.on);
            self.print_set(&fragment.set, &mut out);
            out.push('\n');
        }
        out
    }

    fn print_head(&self, operation: &Operation, used: &BTreeSet<String>, out: &mut String) {
        if operation.name.is_none() && used.is_empty() {
            return;
        }
        let _ = write!(out, "query {}", operation.name.as_deref().unwrap_or(""));
        if used.is_empty() {
            return;
        }
        out.push('(');
        for name in used {
            let variable = &self.variables[name];
            let _ = write!(out, "${name}: {}", variable.ty);
            if let Some(default) = &variable.default {
                let _ = write!(out, " = {default}");
            }
            out.push(' ');
        }
        out.push(')');
    }

    fn reach(&self, set: &[Selection], reached: &mut BTreeSet<usize>) {
        for selection in set {
            match selection {
                Selection::Field { set, .. } | Selection::Inline { set, .. } => {
                    self.reach(set, reached);
                }
                Selection::Spread { fragment, .. } => {
                    if reached.insert(*fragment) {
                        self.reach(&self.fragments[*fragment].set, reached);
                    }
                }
            }
        }
    }

    fn print_set(&self, set: &[Selection], out: &mut String) {
        if set.is_empty() {
            return;
        }
        out.push_str("{ ");
        for selection in set {
            match selection {
                Selection::Field {
                    alias,
                    name,
                    arguments,
                    directives,
                    set,
                } => {
                    if let Some(alias) = alias {
                        let _ = write!(out, "{alias}: ");
                    }
                    out.push_str(name);
                    if !arguments.is_empty() {
                        let arguments: Vec<String> = arguments
                            .iter()
                            .map(|(name, value)| format!("{name}: {value}"))
                            .collect();
                        let _ = write!(out, "({})", arguments.join(", "));
                    }
                    print_directives(directives, out);
                    out.push(' ');
                    self.print_set(set, out);
                }
                Selection::Inline {
                    on,
                    directives,
                    set,
                } => {
                    out.push_str("...");
                    if let Some(on) = on {
                        let _ = write!(out, " on {on}");
                    }
                    print_directives(directives, out);
                    out.push(' ');
                    self.print_set(set, out);
                }
                Selection::Spread {
                    fragment,
                    directives,
                } => {
                    let _ = write!(out, "...{}", self.fragments[*fragment].name);
                    print_directives(directives, out);
                    out.push(' ');
                }
            }
        }
        out.push_str("} ");
    }

    /// Every document that is this one less a part, the larger parts first.
    pub fn smaller(&self) -> Vec<Document> {
        let mut found = Vec::new();
        if self.operations.len() > 1 {
            let mut alone = self.clone();
            alone.operations = vec![self.operations[self.chosen].clone()];
            alone.chosen = 0;
            found.push(alone);
        }
        let cuts = |set: &[Selection]| cuts_of(set);
        for (index, operation) in self.operations.iter().enumerate() {
            for set in cuts(&operation.set) {
                let mut cut = self.clone();
                cut.operations[index].set = set;
                found.push(cut);
            }
        }
        for (index, fragment) in self.fragments.iter().enumerate() {
            for set in cuts(&fragment.set) {
                let mut cut = self.clone();
                cut.fragments[index].set = set;
                found.push(cut);
            }
        }
        found
    }
}

/// The set without one of its parts, at any depth.
fn cuts_of(set: &[Selection]) -> Vec<Vec<Selection>> {
    let mut found = Vec::new();
    if set.len() > 1 {
        for index in 0..set.len() {
            let mut cut = set.to_vec();
            cut.remove(index);
            found.push(cut);
        }
    }
    for (index, selection) in set.iter().enumerate() {
        for smaller in smaller_selections(selection) {
            let mut cut = set.to_vec();
            cut[index] = smaller;
            found.push(cut);
        }
    }
    found
}

fn smaller_selections(selection: &Selection) -> Vec<Selection> {
    let mut found = Vec::new();
    let whole = selection.clone();
    match selection {
        Selection::Field {
            arguments,
            directives,
            set,
            ..
        } => {
            for index in 0..directives.len() {
                let mut cut = whole.clone();
                if let Selection::Field { directives, .. } = &mut cut {
                    directives.remove(index);
                }
                found.push(cut);
            }
            for index in 0..arguments.len() {
                let mut cut = whole.clone();
                if let Selection::Field { arguments, .. } = &mut cut {
                    arguments.remove(index);
                }
                found.push(cut);
            }
            for smaller in cuts_of(set) {
                let mut cut = whole.clone();
                if let Selection::Field { set, .. } = &mut cut {
                    *set = smaller;
                }
                found.push(cut);
            }
        }
        Selection::Inline {
            directives, set, ..
        } => {
            if !directives.is_empty() {
                let mut cut = whole.clone();
                if let Selection::Inline { directives, .. } = &mut cut {
                    directives.pop();
                }
                found.push(cut);
            }
            for smaller in cuts_of(set) {
                let mut cut = whole.clone();
                if let Selection::Inline { set, .. } = &mut cut {
                    *set = smaller;
                }
                found.push(cut);
            }
        }
        Selection::Spread {
            fragment,
            directives,
        } if !directives.is_empty() => found.push(Selection::Spread {
            fragment: *fragment,
            directives: Vec::new(),
        }),
        Selection::Spread { .. } => {}
    }
    found
}

fn print_directives(directives: &[String], out: &mut String) {
    for directive in directives {
        let _ = write!(out, " {directive}");
    }
}

/// Names of variables in a text whose strings hold no dollar sign.
fn variables_in(text: &str) -> BTreeSet<String> {
    text.split('$')
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect()
        })
        .collect()
}
