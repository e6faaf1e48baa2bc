//! The table: a line for each cell, with the ratio to each floor and what became of the targets.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::measure::Cell;
use crate::plan::{Group, PEAK_BYTES_MAX, Row, TARGET_CONNECTIONS};

/// What was measured, by line and number of connections.
pub type Cells = BTreeMap<(Row, usize), Cell>;

const HEAD: &str =
    "requests/s       p50       p99  CPU/request    peak  calls/request  busy  load  gateway is";

/// One group's lines.
pub fn group(group: &Group, connections: &[usize], cells: &Cells) -> String {
    let mut text = String::new();
    for connections in connections {
        let gateway = cells.get(&(group.gateway(), *connections));
        let _ = writeln!(text, "\n{:<28}{HEAD}", format!("{connections} connections"));
        for row in std::iter::once(group.gateway()).chain(group.floors()) {
            let Some(cell) = cells.get(&(row, *connections)) else {
                continue;
            };
            let ratio = gateway.filter(|_| row != group.gateway());
            let ratio = ratio.map(|gateway| format!("{:.2} of it", gateway.rate / cell.rate));
            line(&mut text, &row.name(), cell, &ratio.unwrap_or_default());
        }
    }
    text
}

/// One line.
pub fn line(text: &mut String, name: &str, cell: &Cell, note: &str) {
    let _ = writeln!(
        text,
        "{name:<26}{:>12.0}{:>10}{:>10}{:>10.1} µs{:>5} MB{:>15.1}{:>5.0}%{:>5.0}%  {note}{}",
        cell.rate,
        milliseconds(cell.p50),
        milliseconds(cell.p99),
        cell.cpu.as_secs_f64() * 1e6,
        cell.peak_bytes / 1_000_000,
        cell.calls,
        cell.busy * 100.0,
        cell.load_busy * 100.0,
        match &cell.wrong {
            Some(wrong) => format!("  WRONG ANSWERS: {wrong}"),
            None => String::new(),
        },
    );
}

/// A duration in milliseconds.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// What became of the targets.
pub fn targets(groups: &[Group], cells: &Cells) -> String {
    let mut text = format!("\nTargets, at {TARGET_CONNECTIONS} connections\n");
    for group in groups {
        let Some(gateway) = cells.get(&(group.gateway(), TARGET_CONNECTIONS)) else {
            continue;
        };
        let (runner, least) = group.target;
        let floor = Row {
            query: group.query,
            runner,
        };
        let name = format!("{} / {}", group.gateway().name(), floor.name().trim());
        if let Some(floor) = cells.get(&(floor, TARGET_CONNECTIONS)) {
            let ratio = gateway.rate / floor.rate;
            let by_cpu = floor.cpu.as_secs_f64() / gateway.cpu.as_secs_f64().max(1e-9);
            let verdict = if ratio >= least { "ok" } else { "short" };
            let _ = writeln!(
                text,
                "{name:<50}{ratio:>6.2} of {least:<5.2} {verdict:<6} (by CPU/request {by_cpu:.2})"
            );
        }
        calls(&mut text, group, cells);
    }
    let peak = cells
        .iter()
        .filter(|((row, _), _)| groups.iter().any(|group| group.gateway() == *row))
        .map(|(_, cell)| cell.peak_bytes)
        .max();
    if let Some(peak) = peak {
        let verdict = if peak < PEAK_BYTES_MAX { "ok" } else { "short" };
        let (peak, most) = (peak / 1_000_000, PEAK_BYTES_MAX / 1_000_000);
        let _ = writeln!(
            text,
            "{:<50}{peak:>6} of {most:<5} {verdict}",
            "peak memory, MB"
        );
    }
    text
}

/// Whether the vendor calls are those of the hand-written program at every number of connections.
fn calls(text: &mut String, group: &Group, cells: &Cells) {
    let mut least: Option<f64> = None;
    let mut all = Vec::new();
    for ((row, connections), cell) in cells {
        if row.query == group.query && group.target.0 == row.runner && cell.calls > 0.0 {
            least = Some(least.map_or(cell.calls, |known| known.min(cell.calls)));
        }
        if *row == group.gateway() {
            all.push((*connections, cell.calls));
        }
    }
    let Some(least) = least else { return };
    // Requests that are under way at the edges of a stretch count in part.
    let verdict = if all.iter().all(|(_, calls)| *calls <= least * 1.02) {
        "ok"
    } else {
        "short"
    };
    let list: Vec<String> = all
        .iter()
        .map(|(connections, calls)| format!("{calls:.1} at {connections}"))
        .collect();
    let _ = writeln!(
        text,
        "{:<50}{} of {least:.1} {verdict}",
        format!("{}, vendor calls", group.gateway().name()),
        list.join(", ")
    );
}
