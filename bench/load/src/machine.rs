//! What a number was measured on: machine, load by neighbours, commit.

use std::{fs, process::Command};

use serde::Serialize;

/// The machine, as a person would describe it.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// CPU model.
    pub cpu: String,
    /// CPUs usable by this process.
    pub cpus: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
    /// Load average of the minute before the run: more than ~0.3 means neighbours.
    pub load_before: f64,
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let meminfo = read("/proc/meminfo");
        let memory = line_value(&meminfo, "MemTotal")
            .trim_end_matches("kB")
            .trim();
        let mut cpu = line_value(&read("/proc/cpuinfo"), "model name").to_owned();
        if cpu.is_empty() {
            "unknown".clone_into(&mut cpu);
        }
        Self {
            cpu,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.parse::<u64>().unwrap_or_default() * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load(),
        }
    }
}

/// Load average of the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace()
        .next()
        .and_then(|one| one.parse().ok())
        .unwrap_or_default()
}

fn line_value<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_default();
    line.split_once(':').map_or("", |(_, value)| value.trim())
}

/// The commit of the working directory, with `-dirty` if it differs; `unknown` outside a repository.
pub fn commit() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output();
    match described {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}
