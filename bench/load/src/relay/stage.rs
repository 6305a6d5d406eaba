//! What the sections share: options, the home, the folder, who issues certificates, and the lines of the details.

use std::{
    collections::BTreeMap,
    fmt::Display,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::runtime::Runtime;

use super::{
    Options,
    home::{Home, Written},
    region::Ground,
    timeline::{Timeline, Times},
};
use crate::{fleet::Binaries, outcome::Latency, report::number, tell};

/// For the last revision to be seen by everybody after the last write.
const SEEN: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// Revisions of one run that are told apart: 20,000 a second for 30 s.
const REVISIONS_MAX: usize = 600_000;

/// One line of the details: section, who, what, value.
pub(super) type Line = [String; 4];

pub(super) struct Stage {
    pub(super) options: Options,
    pub(super) bins: Binaries,
    pub(super) home: Home,
    pub(super) ground: Ground,
    pub(super) details: Vec<Line>,
    start: Instant,
    // Last, so that servers end before their folder goes.
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn new(
        options: &Options,
        bins: Binaries,
        start: Instant,
    ) -> anyhow::Result<Self> {
        let mut named = tempfile::Builder::new();
        named
            .prefix("meridian-bench-relay-")
            .disable_cleanup(options.keep);
        let folder = match &options.dir {
            Some(dir) => named.tempdir_in(dir),
            None => named.tempdir(),
        };
        let folder = folder.context("make a folder for the data: give another with --dir")?;
        if options.keep {
            tell::progress(start, format_args!("logs in {}", folder.path().display()));
        }
        let home = Home::start(&bins.etcd, folder.path(), options.objects).await?;
        tell::progress(start, "the home is filled");
        Ok(Self {
            ground: Ground::new(&bins.meridian, folder.path(), options.congestion)?,
            options: options.clone(),
            bins,
            home,
            details: vec![["section", "who", "what", "value"].map(str::to_owned)],
            start,
            folder,
        })
    }

    pub(super) fn say(&self, line: impl Display) {
        tell::progress(self.start, line);
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A line of the details, which is also said at once.
    pub(super) fn note(&mut self, section: &str, who: &str, what: &str, value: impl Display) {
        self.say(format_args!("  {section} · {who} · {what}: {value}"));
        let line = [
            section.to_owned(),
            who.to_owned(),
            what.to_owned(),
            value.to_string(),
        ];
        self.details.push(line);
    }

    /// The details without their head.
    pub(super) fn details_json(&self) -> Vec<serde_json::Value> {
        let line = |[section, who, what, value]: &Line| serde_json::json!({"section": section, "who": who, "what": what, "value": value});
        self.details.iter().skip(1).map(line).collect()
    }

    /// A timeline that begins at the home's revision now.
    pub(super) async fn timeline(&self) -> anyhow::Result<Timeline> {
        Ok(Timeline::new(self.home.revision().await?, REVISIONS_MAX))
    }
}

/// A runtime that can be dropped inside another.
pub(super) struct Background(Option<Runtime>);

impl Background {
    /// Of its own, so that a busy runtime of the nodes delays no emulator of TCP.
    pub(super) fn start() -> anyhow::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Ok(Self(Some(builder.worker_threads(1).enable_all().build()?)))
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("taken by drop alone")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until all of them have seen the last of what was written; how long that took, or none if it
/// did not come.
pub(super) async fn seen_by<'a>(
    watchers: impl IntoIterator<Item = &'a Arc<Times>>,
    written: &Written,
) -> Option<Duration> {
    let start = Instant::now();
    for watcher in watchers {
        while watcher.highest() < written.to {
            if start.elapsed() > SEEN {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Some(start.elapsed())
}

/// p50, p99 and slowest in milliseconds.
pub(super) fn ms(latency: &Latency) -> String {
    let ms = |us: f64| number(us / 1e3);
    format!(
        "p50 {} p99 {} max {} ms",
        ms(latency.p50_us),
        ms(latency.p99_us),
        ms(latency.max_us)
    )
}

/// First lines of `--version`.
pub(super) fn versions(bins: &Binaries, into: &mut BTreeMap<String, String>) {
    for (name, path) in [("etcd", &bins.etcd), ("meridian", &bins.meridian)] {
        let output = Command::new(path).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let first = text
            .ok()
            .and_then(|text| text.lines().next().map(str::to_owned));
        into.insert(
            name.to_owned(),
            first.unwrap_or_else(|| "does not run".to_owned()),
        );
    }
    into.insert("bench".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
}
