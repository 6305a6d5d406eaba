//! The process's own figures from `/proc/self`, under Prometheus's customary names.
//!
//! Where there is no `/proc` they are left out.

use std::fmt::Write;

/// The unit of CPU times in `/proc/*/stat`: Linux shows them in hundredths of a second to every
/// program, whatever its own clock rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes the samples with their descriptions.
pub(super) fn append(text: &mut String) {
    let samples = [
        (
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory of this process in bytes.",
            resident_bytes(),
        ),
        (
            "process_cpu_seconds_total",
            "counter",
            "User and system CPU time of this process in seconds.",
            cpu_seconds(),
        ),
        (
            "process_open_fds",
            "gauge",
            "Open file descriptors of this process.",
            open_files(),
        ),
    ];
    for (name, kind, help, value) in samples {
        let Some(value) = value else { continue };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold spaces; after it, user
    // and system time are the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>);
    Some(ticks.sum::<Result<f64, _>>().ok()? / TICKS_PER_SECOND)
}

fn open_files() -> Option<f64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(open).ok().map(f64::from)
}
