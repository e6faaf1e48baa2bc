//! The rows of a SOAP reply.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::Outcome;

/// One row: the texts of its leaves that were wanted, in the order in which they were named.
pub type Row<const N: usize> = [Option<String>; N];

/// The texts of the wanted leaves right below each element of that local name.
pub fn rows<const N: usize>(reply: &[u8], row: &str, leaves: [&str; N]) -> Outcome<Vec<Row<N>>> {
    let mut reader = Reader::from_reader(reply);
    let mut rows = Vec::new();
    let mut current: Option<(usize, Row<N>)> = None;
    let (mut depth, mut leaf) = (0_usize, None);
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                depth += 1;
                let name = start.local_name();
                match &current {
                    None if name.as_ref() == row.as_bytes() => {
                        current = Some((depth, std::array::from_fn(|_| None)));
                    }
                    Some((at, _)) if depth == at + 1 => {
                        leaf = leaves
                            .iter()
                            .position(|leaf| leaf.as_bytes() == name.as_ref());
                    }
                    _ => {}
                }
            }
            Event::Text(text) => {
                if let (Some(leaf), Some((at, row))) = (leaf, &mut current)
                    && depth == *at + 1
                    && let Some(place) = row.get_mut(leaf)
                {
                    place.get_or_insert_default().push_str(&text.decode()?);
                }
            }
            Event::GeneralRef(entity) => {
                if let (Some(leaf), Some((_, row))) = (leaf, &mut current)
                    && let Some(place) = row.get_mut(leaf)
                {
                    let name = entity.decode()?;
                    let text = quick_xml::escape::resolve_predefined_entity(&name);
                    place
                        .get_or_insert_default()
                        .push_str(text.ok_or("an unknown entity")?);
                }
            }
            Event::End(_) => {
                if let Some((at, row)) = current.take_if(|(at, _)| *at == depth) {
                    let _ = at;
                    rows.push(row);
                }
                leaf = None;
                depth = depth.saturating_sub(1);
            }
            Event::Eof => return Ok(rows),
            _ => {}
        }
    }
}
