//! What the binaries say to a person: progress on standard error, results on standard output.
//!
//! A closed pipe is not an error: the run goes on and its JSON is still written.

use std::{fmt::Display, io::Write, time::Instant};

/// One line of progress on standard error, with the seconds since `start`.
pub fn progress(start: Instant, line: impl Display) {
    let _ = writeln!(
        std::io::stderr(),
        "[{:6.1} s] {line}",
        start.elapsed().as_secs_f64()
    );
}

/// A result on standard output.
pub fn result(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Why the program ends without a result, on standard error: one line, causes after colons, no backtrace.
pub fn failure(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}
