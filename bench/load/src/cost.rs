//! What a load cost: CPU of the generator and, if its process is named, of the server, per operation.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::process::ProcessId;

/// CPU spent when a measurement began.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pid: Option<ProcessId>,
    server: Duration,
    own: Duration,
}

/// CPU per operation of one measurement, and memory after it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CostPerOp {
    /// CPU of this process, in microseconds.
    pub generator_cpu_us_per_op: f64,
    /// CPU of the server, if one was named.
    pub server_cpu_us_per_op: Option<f64>,
    /// Its resident memory.
    pub server_resident_bytes: Option<u64>,
}

impl Cost {
    /// Looks at the clocks; `pid` is the server's.
    pub fn begin(pid: Option<u32>) -> anyhow::Result<Self> {
        let pid = pid.map(ProcessId);
        let server = pid.map(ProcessId::cpu).transpose()?.unwrap_or_default();
        Ok(Self {
            pid,
            server,
            own: ProcessId::own().cpu()?,
        })
    }

    /// Looks again, after `ops` operations.
    pub fn end(self, ops: u64) -> anyhow::Result<CostPerOp> {
        let per_op = |spent: Duration| spent.as_secs_f64() * 1e6 / ops.max(1) as f64;
        let server = self.pid.map(ProcessId::cpu).transpose()?;
        let memory = self.pid.map(ProcessId::memory).transpose()?;
        Ok(CostPerOp {
            generator_cpu_us_per_op: per_op(ProcessId::own().cpu()? - self.own),
            server_cpu_us_per_op: server.map(|cpu| per_op(cpu - self.server)),
            server_resident_bytes: memory.map(|memory| memory.resident_bytes),
        })
    }
}

impl fmt::Display for CostPerOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generator CPU {:.2} µs/op", self.generator_cpu_us_per_op)?;
        if let Some((cpu, bytes)) = self.server_cpu_us_per_op.zip(self.server_resident_bytes) {
            write!(
                f,
                " · server CPU {cpu:.2} µs/op, resident {} MiB",
                bytes >> 20
            )?;
        }
        Ok(())
    }
}
