//! How long it took, kind by kind, until the first revision after a fault was there.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Result, ensure};

use crate::LATE;

/// All times of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    times: BTreeMap<String, Vec<Duration>>,
    late: Vec<String>,
}

impl Figures {
    /// Notes the time of one node after one fault.
    pub(crate) fn note(&mut self, kind: &str, node: &str, time: Duration) {
        self.times.entry(kind.to_owned()).or_default().push(time);
        if time > LATE {
            self.late
                .push(format!("{kind}: {node} after {} ms", time.as_millis()));
        }
    }

    /// None was late.
    pub(crate) fn judge(&self) -> Result<()> {
        ensure!(
            self.late.is_empty(),
            "{} times later than {LATE:?}:\n{}",
            self.late.len(),
            self.late.join("\n")
        );
        Ok(())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "first revision after a fault, ms: n, median, p99, max")?;
        for (kind, times) in &self.times {
            let mut times = times.clone();
            times.sort_unstable();
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_millis();
            writeln!(
                f,
                "  {kind:<44} {:>5} {:>6} {:>6} {:>6}",
                times.len(),
                at(0.5),
                at(0.99),
                at(1.0)
            )?;
        }
        Ok(())
    }
}
