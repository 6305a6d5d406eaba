//! Open-loop pace: how many operations are due by now, told as a level.
//!
//! A thread of its own sleeps between operations, because a runtime's timer counts whole milliseconds and would add
//! its rounding to every latency. The level never goes back, ends at a fixed time and cannot pile up: a slow
//! reader finds a larger number, nothing else.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Shortest sleep: at higher rates several operations fall due at once.
const SLEEP_MIN: Duration = Duration::from_micros(100);

/// When the n-th operation was meant to start, and how many are due.
#[derive(Debug)]
pub struct Pacer {
    start: Instant,
    rate: f64,
    due: watch::Receiver<u64>,
}

impl Pacer {
    /// Starts now: `rate` operations a second for `duration`.
    pub fn start(rate: f64, duration: Duration) -> Self {
        let start = Instant::now();
        let (level, due) = watch::channel(0);
        thread::spawn(move || {
            loop {
                let elapsed = start.elapsed().min(duration);
                let count = (elapsed.as_secs_f64() * rate) as u64;
                if level.send(count).is_err() || elapsed == duration {
                    return;
                }
                let next = intended(start, rate, count + 1);
                thread::sleep(
                    next.saturating_duration_since(Instant::now())
                        .max(SLEEP_MIN),
                );
            }
        });
        Self { start, rate, due }
    }

    /// Waits until more than `issued` operations are due and says how many; none when the time is over.
    pub async fn due_beyond(&mut self, issued: u64) -> Option<u64> {
        let waited = self.due.wait_for(|due| *due > issued).await.map(|due| *due);
        waited.ok()
    }

    /// When operation number n (from 1) was meant to start.
    pub fn intended(&self, n: u64) -> Instant {
        intended(self.start, self.rate, n)
    }
}

fn intended(start: Instant, rate: f64, n: u64) -> Instant {
    start + Duration::from_secs_f64(n as f64 / rate)
}

#[cfg(test)]
mod tests;
