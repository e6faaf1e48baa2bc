//! Turns YAML text into a tree of nodes with places, within bounds.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::config::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::config::yaml::{Kind, Mark, Node, Scalar, Style};

/// The largest file that is read, in bytes.
pub const BYTES_MAX: usize = 1024 * 1024;
/// The deepest nesting that is read.
pub const DEPTH_MAX: usize = 64;
/// The most nodes of a document after its aliases are expanded; a few lines of aliases can mean billions.
pub const NODES_MAX: usize = 100_000;
/// The most bytes of text of a document after its aliases are expanded.
pub const EXPANDED_MAX: usize = 4 * BYTES_MAX;

/// Reads a single YAML document and reports what keeps it from being one.
pub fn parse(text: &str, file: &Arc<str>, diagnostics: &mut Diagnostics) -> Option<Node> {
    if text.len() > BYTES_MAX {
        let message = format!(
            "The file has {} bytes, and {BYTES_MAX} are allowed.",
            text.len()
        );
        diagnostics.push(Diagnostic::error("too-large", file, Place::START, message));
        return None;
    }
    diagnostics.add_source(file, text);
    let mut builder = Builder::new(text, file, diagnostics);
    match builder.run() {
        Ok(node) => Some(node),
        Err(problem) => {
            diagnostics.push(*problem);
            None
        }
    }
}

enum Parts {
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>, Option<Node>),
}

struct Frame {
    parts: Parts,
    anchor: usize,
    start: Marker,
}

struct Anchored {
    node: Node,
    count: usize,
    bytes: usize,
    depth: usize,
}

type Outcome<T> = Result<T, Box<Diagnostic>>;

struct Builder<'a> {
    text: &'a str,
    file: &'a Arc<str>,
    diagnostics: &'a mut Diagnostics,
    /// The byte offset of each character, only when they differ.
    bytes: Option<Vec<usize>>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    count: usize,
    expanded: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, file: &'a Arc<str>, diagnostics: &'a mut Diagnostics) -> Self {
        let bytes =
            (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).collect());
        Self {
            text,
            file,
            diagnostics,
            bytes,
            stack: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            count: 0,
            expanded: 0,
        }
    }

    fn run(&mut self) -> Outcome<Node> {
        let mut documents = 0_u32;
        for event in Parser::new_from_str(self.text) {
            let (event, span) = event.map_err(|error| {
                let place = self.place(*error.marker(), *error.marker());
                let message = format!("This is not YAML: {}.", error.info());
                Box::new(Diagnostic::error("yaml-syntax", self.file, place, message))
            })?;
            if matches!(event, Event::DocumentStart(_)) {
                documents = documents.saturating_add(1);
            }
            let place = self.place(span.start, span.end);
            if documents > 1 {
                return Err(self.fail(
                    "yaml-documents",
                    place,
                    "A second document starts here, and one is allowed.",
                ));
            }
            self.event(event, place, span.start)?;
        }
        let empty = Scalar {
            text: String::new(),
            style: Style::Plain,
            marks: Vec::new(),
        };
        Ok(self
            .root
            .take()
            .unwrap_or_else(|| Node::new(Kind::Scalar(empty), Place::START)))
    }

    fn event(&mut self, event: Event<'_>, place: Place, start: Marker) -> Outcome<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mut style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let marks = align(self.text, place, &text, style);
                if self.tag(tag.as_deref(), place)? {
                    style = Style::Quoted;
                }
                self.spend(1, text.len(), place)?;
                let scalar = Scalar {
                    text: text.into_owned(),
                    style,
                    marks,
                };
                let node = Node::new(Kind::Scalar(scalar), place);
                self.remember(anchor, &node);
                self.add(node);
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), place)?;
                self.open(
                    Frame {
                        parts: Parts::Sequence(Vec::new()),
                        anchor,
                        start,
                    },
                    place,
                )?;
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), place)?;
                self.open(
                    Frame {
                        parts: Parts::Mapping(Vec::new(), None),
                        anchor,
                        start,
                    },
                    place,
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(id) => self.alias(id, place)?,
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, frame: Frame, place: Place) -> Outcome<()> {
        self.spend(1, 0, place)?;
        if self.stack.len() >= DEPTH_MAX {
            return Err(self.fail(
                "too-deep",
                place,
                &format!("The nesting is deeper than {DEPTH_MAX} levels."),
            ));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self, end: Place) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        let mut place = self.place(frame.start, frame.start);
        let inside = self
            .text
            .get(place.offset..end.offset.saturating_add(end.len))
            .unwrap_or_default();
        place.len = inside.trim_end().len();
        let kind = match frame.parts {
            Parts::Sequence(items) => Kind::Sequence(items),
            Parts::Mapping(pairs, _) => Kind::Mapping(pairs),
        };
        let node = Node::new(kind, place);
        self.remember(frame.anchor, &node);
        self.add(node);
    }

    fn alias(&mut self, id: usize, place: Place) -> Outcome<()> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(self.fail(
                "yaml-alias",
                place,
                "This alias stands inside the value it names.",
            ));
        };
        let (count, bytes, depth) = (anchored.count, anchored.bytes, anchored.depth);
        if self.stack.len().saturating_add(depth) > DEPTH_MAX {
            return Err(self.fail(
                "too-deep",
                place,
                &format!("The nesting is deeper than {DEPTH_MAX} levels."),
            ));
        }
        self.spend(count, bytes, place)?;
        if let Some(anchored) = self.anchors.get(&id) {
            self.add(anchored.node.clone());
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            let (count, bytes, depth) = measure(node);
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    count,
                    bytes,
                    depth,
                },
            );
        }
    }

    fn add(&mut self, node: Node) {
        match self.stack.last_mut().map(|frame| &mut frame.parts) {
            None => self.root = Some(node),
            Some(Parts::Sequence(items)) => items.push(node),
            Some(Parts::Mapping(pairs, pending)) => match pending.take() {
                None => *pending = Some(node),
                Some(key) => {
                    let problem = key_problem(&key, pairs);
                    match problem {
                        None => pairs.push((key, node)),
                        Some((code, message)) => {
                            self.diagnostics.push(Diagnostic::error(
                                code,
                                self.file,
                                key.head(),
                                message,
                            ));
                        }
                    }
                }
            },
        }
    }

    fn spend(&mut self, count: usize, bytes: usize, place: Place) -> Outcome<()> {
        self.count = self.count.saturating_add(count);
        self.expanded = self.expanded.saturating_add(bytes);
        if self.count > NODES_MAX || self.expanded > EXPANDED_MAX {
            let message = "The document grows too large here, with its aliases expanded.";
            return Err(self.fail("too-large", place, message));
        }
        Ok(())
    }

    /// Whether a tag makes the scalar a text.
    fn tag(&self, tag: Option<&Tag>, place: Place) -> Outcome<bool> {
        match tag {
            None => Ok(false),
            Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix == "str"),
            Some(tag) => Err(self.fail(
                "yaml-tag",
                place,
                &format!("The tag `{tag}` has no meaning here."),
            )),
        }
    }

    fn fail(&self, code: &'static str, place: Place, message: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(code, self.file, place, message))
    }

    fn place(&self, start: Marker, end: Marker) -> Place {
        let byte = |marker: Marker| match &self.bytes {
            None => marker.index().min(self.text.len()),
            Some(bytes) => bytes
                .get(marker.index())
                .copied()
                .unwrap_or(self.text.len()),
        };
        let offset = byte(start);
        Place {
            offset,
            len: byte(end).saturating_sub(offset),
            line: u32::try_from(start.line()).unwrap_or(u32::MAX).max(1),
            column: u32::try_from(start.col())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        }
    }
}

fn key_problem(key: &Node, pairs: &[(Node, Node)]) -> Option<(&'static str, String)> {
    let Some(text) = key.text() else {
        return Some((
            "wrong-type",
            "A key must be a text, and this is a list or a mapping.".to_owned(),
        ));
    };
    let (first, _) = pairs.iter().find(|(other, _)| other.text() == Some(text))?;
    let message = format!(
        "The key `{text}` is here twice; it first stands on line {}.",
        first.place.line
    );
    Some(("duplicate-key", message))
}

/// The number of nodes, of bytes of text and of levels.
fn measure(node: &Node) -> (usize, usize, usize) {
    let (mut count, mut bytes, mut depth) = (1_usize, 0_usize, 0_usize);
    let mut add = |part: &Node| {
        let (part_count, part_bytes, part_depth) = measure(part);
        count = count.saturating_add(part_count);
        bytes = bytes.saturating_add(part_bytes);
        depth = depth.max(part_depth);
    };
    match &node.kind {
        Kind::Scalar(scalar) => return (1, scalar.text.len(), 0),
        Kind::Sequence(items) => items.iter().for_each(&mut add),
        Kind::Mapping(pairs) => pairs.iter().for_each(|(key, value)| {
            add(key);
            add(value);
        }),
    }
    (count, bytes, depth.saturating_add(1))
}

/// A position in the file that moves forward.
struct Cursor<'a> {
    text: &'a str,
    place: Place,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.place.offset..)?.chars().next()
    }

    fn step(&mut self) {
        let Some(character) = self.peek() else { return };
        self.place.offset = self.place.offset.saturating_add(character.len_utf8());
        if character == '\n' {
            self.place.line = self.place.line.saturating_add(1);
            self.place.column = 1;
        } else {
            self.place.column = self.place.column.saturating_add(1);
        }
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.step();
        }
    }
}

/// Finds where the pieces of a scalar's text stand, by reading text and file side by side.
///
/// Folding, indentation, and escapes make them differ; after each such difference they meet again at the next visible
/// character, and a mark is left there.
fn align(source: &str, place: Place, text: &str, style: Style) -> Vec<Mark> {
    let mut cursor = Cursor {
        text: source,
        place: Place { len: 0, ..place },
    };
    let quote = cursor.peek().filter(|_| style == Style::Quoted);
    let mut rest = text.char_indices().peekable();
    match style {
        Style::Plain => {}
        Style::Quoted => cursor.step(),
        // The parser's span of a block begins at its first content, behind the empty lines.
        Style::Block => while rest.next_if(|(_, character)| *character == '\n').is_some() {},
    }
    let first = rest.peek().map_or(text.len(), |(offset, _)| *offset);
    let mut marks = vec![Mark {
        text: first,
        place: cursor.place,
    }];
    if first > 0 {
        marks.insert(
            0,
            Mark {
                text: 0,
                place: cursor.place,
            },
        );
    }
    while let Some((offset, character)) = rest.next() {
        if quote == Some('"') && skip_continuation(&mut cursor) {
            marks.push(Mark {
                text: offset,
                place: cursor.place,
            });
        }
        let written = cursor.peek();
        let plain_step = written == Some(character) && character != '\n';
        match (quote, written) {
            (Some('\''), Some('\'')) => cursor.steps(2),
            (Some('"'), Some('\\')) => skip_escape(&mut cursor),
            _ if plain_step => {
                cursor.step();
                continue;
            }
            _ => {
                cursor.skip_blank();
                if !character.is_whitespace() {
                    // A continued line adds nothing to the text: this character is still to be met.
                    marks.push(Mark {
                        text: offset,
                        place: cursor.place,
                    });
                    cursor.step();
                    continue;
                }
                while rest.next_if(|(_, next)| next.is_whitespace()).is_some() {}
            }
        }
        let next = rest.peek().map_or(text.len(), |(offset, _)| *offset);
        marks.push(Mark {
            text: next,
            place: cursor.place,
        });
    }
    marks
}

/// Skips an escaped line break, which stands for nothing.
fn skip_continuation(cursor: &mut Cursor<'_>) -> bool {
    let rest = cursor.text.get(cursor.place.offset..).unwrap_or_default();
    let is_continuation = rest.starts_with("\\\n") || rest.starts_with("\\\r\n");
    if is_continuation {
        cursor.step();
        cursor.skip_blank();
    }
    is_continuation
}

fn skip_escape(cursor: &mut Cursor<'_>) {
    cursor.step();
    let digits = match cursor.peek() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        _ => 0,
    };
    cursor.steps(1_usize.saturating_add(digits));
}
