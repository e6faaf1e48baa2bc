//! Writes the answer's bytes straight from records and cells, with null propagation, paths and order as the
//! specification demands.

use std::io::Write as _;

use crate::engine::bind::Bound;
use crate::engine::execute::{Cell, Column, Level};
use crate::engine::plan::{Kind, Planned, PlannedField};
use crate::error::Code;
use crate::record::value::{Object, Value};
use crate::resolve::FieldError;
use crate::resolve::item::Item;
use crate::schema::Catalog;

/// A value below was null where it may not be; the nearest place that may be null takes it.
#[derive(Debug)]
struct Nulled;

/// A written answer.
#[derive(Debug)]
pub struct Written {
    /// Its bytes.
    pub body: Vec<u8>,
    /// Whether it tells of errors.
    pub has_errors: bool,
}

/// A step of a path.
#[derive(Debug, Clone)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// Writes one answer.
#[derive(Debug)]
pub struct Writer<'p> {
    catalog: &'p Catalog,
    bound: &'p Bound,
    introspection: &'p serde_json::Map<String, serde_json::Value>,
    request_id: &'p str,
    errors_max: usize,
    out: Vec<u8>,
    path: Vec<Step<'p>>,
    errors: Vec<serde_json::Value>,
    errors_left_out: usize,
}

impl<'p> Writer<'p> {
    /// A writer for one request.
    pub fn new(
        catalog: &'p Catalog,
        bound: &'p Bound,
        introspection: &'p serde_json::Map<String, serde_json::Value>,
        request_id: &'p str,
        errors_max: usize,
    ) -> Self {
        Self {
            catalog,
            bound,
            introspection,
            request_id,
            errors_max,
            out: Vec::with_capacity(4096),
            path: Vec::new(),
            errors: Vec::new(),
            errors_left_out: 0,
        }
    }

    /// Writes the whole answer.
    pub fn answer(mut self, planned: &'p [Planned], level: &'p Level) -> Written {
        self.out.extend_from_slice(b"{\"data\":");
        let start = self.out.len();
        if self.row(planned, level, 0).is_err() {
            self.out.truncate(start);
            self.out.extend_from_slice(b"null");
        }
        let has_errors = !self.errors.is_empty();
        if has_errors {
            if self.errors_left_out > 0 {
                let message = format!("{} more errors are not shown", self.errors_left_out);
                self.errors.push(serde_json::json!({
                    "message": message,
                    "extensions": {"code": Code::LimitExceeded.as_str(), "requestId": self.request_id},
                }));
            }
            self.out.extend_from_slice(b",\"errors\":");
            let errors = serde_json::Value::Array(self.errors);
            let _ = serde_json::to_writer(&mut self.out, &errors);
        }
        self.out.push(b'}');
        Written {
            body: self.out,
            has_errors,
        }
    }

    fn row(&mut self, planned: &'p [Planned], level: &'p Level, row: usize) -> Result<(), Nulled> {
        self.out.push(b'{');
        for (index, (planned, column)) in planned.iter().zip(&level.columns).enumerate() {
            self.key(index, &planned.key);
            self.path.push(Step::Key(&planned.key));
            let written = self.column(planned, column, level, row);
            self.path.pop();
            written?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn key(&mut self, index: usize, key: &str) {
        if index > 0 {
            self.out.push(b',');
        }
        // A response key is a GraphQL name, which JSON needs no escapes for.
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn column(
        &mut self,
        planned: &'p Planned,
        column: &'p Column,
        level: &'p Level,
        row: usize,
    ) -> Result<(), Nulled> {
        let field = match &planned.kind {
            Kind::TypeName => {
                let name = level
                    .items
                    .get(row)
                    .map_or("Query", |item| self.type_name(item, planned));
                self.text(name);
                return Ok(());
            }
            Kind::Introspection => {
                let value = self
                    .introspection
                    .get(&*planned.key)
                    .unwrap_or(&serde_json::Value::Null);
                let _ = serde_json::to_writer(&mut self.out, value);
                return Ok(());
            }
            Kind::Field(field) => field,
        };
        let start = self.out.len();
        let written = match column {
            Column::Fixed => Err(Nulled),
            Column::Failed(error) => {
                self.error(error, planned);
                Err(Nulled)
            }
            Column::Slot(slot) => match level.items.get(row) {
                Some(Item::Entity(entity)) => self.value(planned, field, entity.data.slot(*slot)),
                _ => Err(Nulled),
            },
            Column::Cells(cells, levels) => match cells.get(row) {
                Some(cell) => self.cell(planned, field, cell, levels),
                None => Err(Nulled),
            },
        };
        self.or_null(start, written, field.non_null, planned)
    }

    /// Puts null in the place of what could not be written, or passes the failure on when null is not allowed there.
    fn or_null(
        &mut self,
        start: usize,
        written: Result<(), Nulled>,
        non_null: bool,
        planned: &Planned,
    ) -> Result<(), Nulled> {
        if written.is_ok() {
            return Ok(());
        }
        self.out.truncate(start);
        if non_null {
            self.missing(planned);
            return Err(Nulled);
        }
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn cell(
        &mut self,
        planned: &'p Planned,
        field: &'p PlannedField,
        cell: &'p Cell,
        levels: &'p [Level],
    ) -> Result<(), Nulled> {
        match cell {
            Cell::Null => Err(Nulled),
            Cell::Failed(error) => {
                self.error(error, planned);
                Err(Nulled)
            }
            Cell::Value(value) => self.value(planned, field, value),
            Cell::One { level, row } => {
                let Some(level) = levels.get(*level) else {
                    return Err(Nulled);
                };
                let ty = level.items.get(*row).and_then(|item| match item {
                    Item::Entity(entity) => Some(entity.ty),
                    Item::Root | Item::Page(_) | Item::Edge(..) => {
                        field.selection.keys().next().copied()
                    }
                });
                let Some(planned) = ty.and_then(|ty| field.selection.get(&ty)) else {
                    return Err(Nulled);
                };
                self.row(planned, level, *row)
            }
            Cell::Many(cells) => {
                self.out.push(b'[');
                for (index, cell) in cells.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.path.push(Step::Index(index));
                    let start = self.out.len();
                    let written = self.cell(planned, field, cell, levels);
                    let written = self.or_null(start, written, field.list == Some(true), planned);
                    self.path.pop();
                    written?;
                }
                self.out.push(b']');
                Ok(())
            }
        }
    }

    fn value(
        &mut self,
        planned: &'p Planned,
        field: &'p PlannedField,
        value: &Value,
    ) -> Result<(), Nulled> {
        // A list that the graph promises and that no source fills is empty.
        if matches!(value, Value::Null) && field.list == Some(true) && field.non_null {
            self.out.extend_from_slice(b"[]");
            return Ok(());
        }
        self.item(planned, field, value)
    }

    /// Writes a value, or an item of a list.
    fn item(
        &mut self,
        planned: &'p Planned,
        field: &'p PlannedField,
        value: &Value,
    ) -> Result<(), Nulled> {
        match value {
            Value::Null => Err(Nulled),
            Value::List(items) => {
                self.out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.path.push(Step::Index(index));
                    let start = self.out.len();
                    let written = self.item(planned, field, item);
                    let written = self.or_null(start, written, field.list == Some(true), planned);
                    self.path.pop();
                    written?;
                }
                self.out.push(b']');
                Ok(())
            }
            Value::Object(object) => self.object(field, object),
            leaf => {
                self.leaf(leaf);
                Ok(())
            }
        }
    }

    fn object(&mut self, field: &'p PlannedField, object: &Object) -> Result<(), Nulled> {
        let Some(selection) = field.selection.get(&object.ty) else {
            return Err(Nulled);
        };
        self.out.push(b'{');
        for (index, planned) in selection.iter().enumerate() {
            self.key(index, &planned.key);
            self.path.push(Step::Key(&planned.key));
            let written = self.member(planned, object);
            self.path.pop();
            written?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self, planned: &'p Planned, object: &Object) -> Result<(), Nulled> {
        match &planned.kind {
            Kind::TypeName => {
                let catalog = self.catalog;
                self.text(catalog.get(object.ty).map_or("", |def| &*def.name));
                Ok(())
            }
            Kind::Introspection => Err(Nulled),
            Kind::Field(field) => {
                let start = self.out.len();
                let written = match self.bound.denied(field) {
                    Some(refusal) => {
                        self.error(refusal, planned);
                        Err(Nulled)
                    }
                    None => self.value(planned, field, object.slot(field.at.slot)),
                };
                self.or_null(start, written, field.non_null, planned)
            }
        }
    }

    fn type_name(&self, item: &Item, _planned: &Planned) -> &'p str {
        let catalog = self.catalog;
        let named = |ty| catalog.get(ty).map_or("", |def| &*def.name);
        match item {
            Item::Root => "Query",
            Item::Entity(entity) => named(entity.ty),
            Item::Page(page) => page_name(catalog, named(page.ty), "Connection"),
            Item::Edge(page, _) => page_name(catalog, named(page.ty), "Edge"),
        }
    }

    fn leaf(&mut self, value: &Value) {
        match value {
            Value::Bool(flag) => self
                .out
                .extend_from_slice(if *flag { b"true" } else { b"false" }),
            Value::Int(number) => {
                let _ = write!(self.out, "{number}");
            }
            Value::Float(number) => {
                let _ = serde_json::to_writer(&mut self.out, number);
            }
            Value::Text(text) => self.text(text),
            Value::Json(text) => self.out.extend_from_slice(text.as_bytes()),
            Value::Null | Value::List(_) | Value::Object(_) => self.out.extend_from_slice(b"null"),
        }
    }

    fn text(&mut self, text: &str) {
        let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        if text.as_bytes().iter().all(plain) {
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
        } else {
            let _ = serde_json::to_writer(&mut self.out, text);
        }
    }

    /// Adds the error of a promised value that is missing, unless something below has told why already.
    fn missing(&mut self, planned: &Planned) {
        let below = self.path_json();
        let told = self.errors.iter().any(|error| {
            let path = error.get("path").and_then(serde_json::Value::as_array);
            path.is_some_and(|path| path.starts_with(&below))
        });
        if !told && self.errors_left_out == 0 {
            let message = format!("`{}` has no value, and the graph promises one", planned.key);
            self.error(&FieldError::new(Code::ValueMissing, message), planned);
        }
    }

    fn path_json(&self) -> Vec<serde_json::Value> {
        self.path
            .iter()
            .map(|step| match step {
                Step::Key(key) => serde_json::Value::from(*key),
                Step::Index(index) => serde_json::Value::from(*index),
            })
            .collect()
    }

    fn error(&mut self, error: &FieldError, planned: &Planned) {
        if self.errors.len() >= self.errors_max {
            self.errors_left_out += 1;
            return;
        }
        let mut extensions = serde_json::Map::new();
        extensions.insert("code".to_owned(), error.code.as_str().into());
        if let Some(source) = &error.source {
            extensions.insert("source".to_owned(), (&**source).into());
        }
        if let Some(operation) = &error.operation {
            extensions.insert("operation".to_owned(), (&**operation).into());
        }
        if let Some(seconds) = error.retry_after_seconds {
            extensions.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
        extensions.insert("retryable".to_owned(), error.code.is_retryable().into());
        if !self.request_id.is_empty() {
            extensions.insert("requestId".to_owned(), self.request_id.into());
        }
        self.errors.push(serde_json::json!({
            "message": error.message,
            "locations": [{"line": planned.position.line, "column": planned.position.column}],
            "path": self.path_json(),
            "extensions": extensions,
        }));
    }
}

/// The connection or edge type over a node type.
fn page_name<'c>(catalog: &'c Catalog, node: &str, suffix: &str) -> &'c str {
    catalog
        .types()
        .iter()
        .map(|def| &*def.name)
        .find(|name| name.strip_suffix(suffix) == Some(node))
        .unwrap_or("")
}
