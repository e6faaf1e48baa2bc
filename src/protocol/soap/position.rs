//! Says where in an XML template its values stand, so that none can break out.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// A place in a template where a value may not stand, or where the XML is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionProblem {
    /// Where in the fragment, in bytes: the marker, or the broken markup.
    pub at: usize,
    /// What stands there.
    pub kind: PositionKind,
}

/// What is wrong with a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionKind {
    /// A value in a tag's name.
    TagName,
    /// A value in an attribute's name.
    AttributeName,
    /// A value after `=` without quotes.
    UnquotedValue,
    /// A value in a comment.
    Comment,
    /// A value in a CDATA section.
    CData,
    /// A value in a processing instruction or declaration.
    Instruction,
    /// A value in an entity reference.
    Reference,
    /// A DOCTYPE, with or without a value.
    Doctype,
    /// The fragment is not well-formed from here on.
    NotWellFormed,
}

/// Checks a fragment in which the marker stands for every value; none is a problem in text or a quoted attribute.
pub fn check_template_positions(xml_with_markers: &str, marker: &str) -> Vec<PositionProblem> {
    let mut problems = Vec::new();
    let mut reader = Reader::from_str(xml_with_markers);
    reader.config_mut().check_comments = true;
    let mut open = 0_usize;
    loop {
        let from = position(reader.buffer_position());
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(_) => {
                let rest = markers(xml_with_markers, from, xml_with_markers.len(), marker);
                problems.extend(rest.into_iter().map(not_well_formed));
                problems.push(not_well_formed(position(reader.error_position())));
                return problems;
            }
        };
        let found = markers(
            xml_with_markers,
            from,
            position(reader.buffer_position()),
            marker,
        );
        let kind = match event {
            Event::Start(ref start) | Event::Empty(ref start) => {
                open += usize::from(matches!(event, Event::Start(_)));
                check_tag(xml_with_markers, from, &found, &mut problems);
                if found.is_empty() && start.attributes().any(|attribute| attribute.is_err()) {
                    problems.push(not_well_formed(from));
                }
                continue;
            }
            Event::Text(_) => continue,
            Event::Eof => {
                if open > 0 {
                    problems.push(not_well_formed(from));
                }
                return problems;
            }
            Event::End(_) => {
                open = open.saturating_sub(1);
                PositionKind::TagName
            }
            Event::CData(_) => PositionKind::CData,
            Event::Comment(_) => PositionKind::Comment,
            Event::Decl(_) | Event::PI(_) => PositionKind::Instruction,
            Event::GeneralRef(_) => PositionKind::Reference,
            Event::DocType(_) => {
                let kind = PositionKind::Doctype;
                problems.push(PositionProblem { at: from, kind });
                continue;
            }
        };
        problems.extend(found.into_iter().map(|at| PositionProblem { at, kind }));
    }
}

/// Walks a start tag once and tells which markers stand outside of quotes.
fn check_tag(xml: &str, from: usize, found: &[usize], problems: &mut Vec<PositionProblem>) {
    let mut quote = None;
    let mut in_name = true;
    let mut last = '<';
    let mut reference = false;
    let mut waiting = found.iter().copied().peekable();
    let Some(tag) = xml.get(from..) else { return };
    for (offset, character) in tag.char_indices() {
        let Some(&next) = waiting.peek() else { return };
        if from + offset == next {
            waiting.next();
            let kind = match quote {
                Some(_) if reference => Some(PositionKind::Reference),
                Some(_) => None,
                None if in_name => Some(PositionKind::TagName),
                None if last == '=' => Some(PositionKind::UnquotedValue),
                None => Some(PositionKind::AttributeName),
            };
            problems.extend(kind.map(|kind| PositionProblem { at: next, kind }));
        }
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        reference = match character {
            '&' => true,
            ';' | '"' | '\'' | ' ' => false,
            _ => reference,
        };
        if character.is_whitespace() {
            in_name = false;
        } else {
            last = character;
        }
    }
}

fn not_well_formed(at: usize) -> PositionProblem {
    PositionProblem {
        at,
        kind: PositionKind::NotWellFormed,
    }
}

fn markers(xml: &str, from: usize, to: usize, marker: &str) -> Vec<usize> {
    if marker.is_empty() {
        return Vec::new();
    }
    let part = xml.get(from..to).unwrap_or_default();
    part.match_indices(marker)
        .map(|(at, _)| from + at)
        .collect()
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
