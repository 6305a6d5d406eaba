//! The live lines of `meridian dev`: one per region, redrawn in place on a terminal; elsewhere one
//! plain line every five seconds.
//!
//! Log lines go beside them, not through them. It only reads counters.

use std::{
    convert::Infallible,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use super::region::Region;
use crate::show;

/// A second is how fast a person reads a changing line.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

/// In a file, a line every five seconds shows life without filling it.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Where the live lines go.
pub(super) struct Live {
    /// None where standard output is no terminal.
    screen: Option<MultiProgress>,
    lines: Vec<ProgressBar>,
}

impl Live {
    pub(super) fn open() -> Self {
        let screen = io::stdout()
            .is_terminal()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stdout()));
        Self {
            screen,
            lines: Vec::new(),
        }
    }

    /// Writes log lines beside the live ones.
    pub(super) fn beside(&self) -> Beside {
        Beside {
            screen: self.screen.clone(),
        }
    }

    /// Shows a text above the live lines.
    pub(super) fn say(&self, text: &str) {
        match &self.screen {
            Some(screen) => screen.suspend(|| show(text)),
            None => show(text),
        }
    }

    /// Shows what happens, for ever. Cancel-safe.
    pub(super) async fn run(&mut self, regions: [&Region; 2]) -> Infallible {
        if let Some(screen) = &self.screen {
            let style = ProgressStyle::with_template("{msg}").expect("a template without fields");
            let line = || screen.add(ProgressBar::new_spinner().with_style(style.clone()));
            self.lines = regions.iter().map(|_| line()).collect();
        }
        let every = if self.screen.is_some() {
            REDRAW_INTERVAL
        } else {
            PLAIN_INTERVAL
        };
        let mut ticks = tokio::time::interval(every);
        let mut meters = regions.map(Meter::new);
        loop {
            ticks.tick().await;
            self.draw(meters.each_mut().map(Meter::line));
        }
    }

    fn draw(&self, texts: [String; 2]) {
        match &self.screen {
            Some(_) => {
                for (line, text) in self.lines.iter().zip(texts) {
                    line.set_message(text);
                }
            }
            None => show(&texts.join(" | ")),
        }
    }

    /// Leaves the last state of the lines on the screen.
    pub(super) fn close(&mut self) {
        for line in self.lines.drain(..) {
            line.abandon();
        }
    }
}

/// Makes writers for log lines on standard error.
#[derive(Clone)]
pub(super) struct Beside {
    screen: Option<MultiProgress>,
}

impl<'a> MakeWriter<'a> for Beside {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.screen {
            Some(screen) => screen.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Turns a region's counters into rates.
struct Meter<'a> {
    region: &'a Region,
    at: Instant,
    reads: u64,
    writes: u64,
}

/// One moment of a region.
struct Sample {
    revision: i64,
    staleness: Option<Duration>,
    reads_per_second: u64,
    writes_per_second: u64,
    connections: u64,
}

impl<'a> Meter<'a> {
    fn new(region: &'a Region) -> Self {
        Self {
            region,
            at: Instant::now(),
            reads: 0,
            writes: 0,
        }
    }

    fn line(&mut self) -> String {
        let (door, engine) = (self.region.view().door(), self.region.view().engine());
        let door = door.unwrap_or_default();
        let (now, reads) = (Instant::now(), door.reads_local + door.reads_home);
        let elapsed = now.duration_since(self.at);
        let sample = Sample {
            revision: engine.revision().get(),
            staleness: engine.staleness(),
            reads_per_second: rate(reads - self.reads, elapsed),
            writes_per_second: rate(door.writes - self.writes, elapsed),
            connections: door.connections,
        };
        (self.at, self.reads, self.writes) = (now, reads, door.writes);
        render(self.region.name, &sample)
    }
}

fn render(name: &str, sample: &Sample) -> String {
    let Sample {
        revision,
        staleness,
        reads_per_second,
        writes_per_second,
        connections,
    } = sample;
    let staleness = match staleness {
        Some(age) => format!("{} ms", age.as_millis()),
        None => "unknown".to_owned(),
    };
    format!(
        "{name}: revision {revision}, staleness {staleness}, {reads_per_second} reads/s, \
         {writes_per_second} writes/s, {connections} connections"
    )
}

/// Whole events per second; none in no time.
fn rate(events: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    events.saturating_mul(1000).checked_div(millis).unwrap_or(0)
}

#[cfg(test)]
mod tests;
