//! CPU time and memory of a process, from `/proc`.
//!
//! CPU counts whole clock ticks of 10 ms: a measurement should span seconds of it.

use std::{fs, time::Duration};

use anyhow::Context;
use serde::Serialize;

/// Linux shows CPU time to programs in 1/100 s on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// A process of ours or of the caller's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessId(pub u32);

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Everything resident.
    pub resident_bytes: u64,
    /// The part that is no file's: heap and stacks, without a mapped database.
    pub anonymous_bytes: u64,
}

impl ProcessId {
    /// This process.
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// User and system time spent so far by all its threads.
    pub fn cpu(self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let text =
            fs::read_to_string(&path).with_context(|| format!("read {path}: it has ended"))?;
        cpu_of(&text).with_context(|| format!("read {path}: not the form proc(5) describes"))
    }

    /// Resident memory now.
    pub fn memory(self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.0);
        let text =
            fs::read_to_string(&path).with_context(|| format!("read {path}: it has ended"))?;
        let bytes = |name| kilobytes(&text, name).map(|kb| kb * 1024);
        let memory = bytes("VmRSS:").zip(bytes("RssAnon:"));
        let (resident_bytes, anonymous_bytes) =
            memory.with_context(|| format!("no RSS in {path}"))?;
        Ok(Memory {
            resident_bytes,
            anonymous_bytes,
        })
    }
}

/// utime and stime are fields 14 and 15; the name before them may hold spaces and brackets.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let total = ticks()? + ticks()?;
    Some(Duration::from_millis(total * 1000 / TICKS_PER_SECOND))
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
