//! Measures one line at one number of connections.

use std::time::Duration;

use crate::Outcome;
use crate::load::Times;
use crate::load::{apply, count};
use crate::plan::Row;
use crate::process::{Process, Usage, cpu};
use crate::scene::Scene;

/// What was measured.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Requests per second.
    pub rate: f64,
    /// The latency of the median request.
    pub p50: Duration,
    /// The latency that one request of a hundred exceeds.
    pub p99: Duration,
    /// Processor time per request.
    pub cpu: Duration,
    /// The most memory.
    pub peak_bytes: u64,
    /// Vendor calls per request.
    pub calls: f64,
    /// How much of its core the measured process used, from 0 to 1.
    pub busy: f64,
    /// How much of its core the load generator used together with the vendors.
    pub load_busy: f64,
    /// The beginning of a wrong answer.
    pub wrong: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    usage: Usage,
    load: Duration,
    calls: u64,
}

/// Measures.
pub async fn measure(scene: &Scene, row: Row, connections: usize, times: Times) -> Outcome<Cell> {
    let (process, address) = scene.measured(row)?;
    let asks = scene.asks(row, connections)?;
    process.forget_peak()?;
    let mut readings = Vec::new();
    let load = apply(address, &asks, times, || {
        readings.push(read(scene, process)?);
        Ok(())
    })
    .await
    .map_err(|error| format!("{}: {error}\n{}", row.name().trim(), process.printed()))?;
    let [before, after] = readings.as_slice() else {
        return Err("a stretch has a beginning and an end".into());
    };
    let requests = count(load.latencies.len()).max(1.0);
    let cpu = after.usage.cpu.saturating_sub(before.usage.cpu);
    let elapsed = load.elapsed.as_secs_f64();
    let calls = usize::try_from(after.calls - before.calls)?;
    let load_cpu = after.load.saturating_sub(before.load);
    Ok(Cell {
        rate: load.rate(),
        p50: load.quantile(500),
        p99: load.quantile(990),
        cpu: cpu.div_f64(requests),
        peak_bytes: after.usage.peak_bytes,
        calls: count(calls) / requests,
        busy: cpu.as_secs_f64() / elapsed,
        load_busy: load_cpu.as_secs_f64() / elapsed,
        wrong: load.first_wrong,
    })
}

fn read(scene: &Scene, process: &Process) -> Outcome<Reading> {
    Ok(Reading {
        usage: process.usage()?,
        load: cpu("/proc/self/stat")?,
        calls: scene.vendors.calls(),
    })
}
