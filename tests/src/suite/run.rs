//! Plays cases on targets, judges what comes of them and counts.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, stream};

use super::{Case, Choice, Difference, Ground, Scene, Skipped};
use crate::{
    target::{Kind, Target, Wish},
    wait::within,
};

/// Above the longest case: a quorum lost and found again.
const CASE_PATIENCE: Duration = Duration::from_secs(60);

/// Cases of one target that may run side by side.
const SIDE_BY_SIDE: usize = 6;

/// What came of one case on one target.
#[derive(Debug)]
enum Outcome {
    Kept,
    Differs(&'static Difference),
    Skipped(&'static str),
    Broken(String),
}

/// How many cases came out how, on one target.
#[derive(Debug, Default)]
struct Count {
    kept: usize,
    differing: usize,
    skipped: usize,
    broken: Vec<String>,
}

impl Count {
    /// Adds an outcome; tells at once what is not simply kept.
    fn add(&mut self, line: &str, outcome: Outcome) {
        match outcome {
            Outcome::Kept => self.kept += 1,
            Outcome::Differs(difference) => {
                self.differing += 1;
                println!("differs {line}: {}", difference.reason);
            }
            Outcome::Skipped(reason) => {
                self.skipped += 1;
                println!("skipped {line}: {reason}");
            }
            Outcome::Broken(why) => self.broken.push(format!("{line}: {why}")),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kept,
            differing,
            skipped,
            broken,
        } = self;
        let broken = broken.len();
        write!(
            f,
            "{kept} rules kept, {differing} listed differences, {skipped} skipped, {broken} broken"
        )
    }
}

/// Runs `cases` on `kinds`, one kind after another; true when nothing is broken.
///
/// # Errors
/// When a target cannot be started.
pub async fn run(
    kinds: &[Kind],
    cases: &[Case],
    differences: &'static [Difference],
    choice: &Choice,
) -> Result<bool> {
    let mut broken = Vec::new();
    for kind in kinds {
        let chosen: Vec<Case> = cases
            .iter()
            .copied()
            .filter(|case| choice.takes(&kind.name(), case.name))
            .collect();
        if choice.is_list() {
            chosen
                .iter()
                .for_each(|case| println!("{} {}: test", kind.name(), case.name));
        } else if !chosen.is_empty() {
            broken.extend(run_on(*kind, &chosen, differences).await?);
        }
    }
    for line in &broken {
        println!("BROKEN {line}");
    }
    Ok(broken.is_empty())
}

async fn run_on(
    kind: Kind,
    cases: &[Case],
    differences: &'static [Difference],
) -> Result<Vec<String>> {
    let started = Instant::now();
    let target = Target::start(kind, &Wish::default()).await;
    let target = Arc::new(target.with_context(|| format!("start {}", kind.name()))?);
    let mut count = Count::default();
    for (ground, width) in [
        (Ground::Alone, 1),
        (Ground::Shared, SIDE_BY_SIDE),
        (Ground::Own, 2),
    ] {
        let of_ground = cases.iter().filter(|case| case.ground == ground);
        let mut outcomes = stream::iter(of_ground)
            .map(|case| play(*case, kind, target.clone(), differences))
            .buffer_unordered(width);
        while let Some((case, outcome)) = outcomes.next().await {
            count.add(&format!("{} {}", kind.name(), case.name), outcome);
        }
    }
    println!("{}: {count}, {:.1?}", kind.name(), started.elapsed());
    let Count { broken, .. } = count;
    if let Some(mut target) = Arc::into_inner(target).filter(|_| !broken.is_empty()) {
        println!("{}", target.log_tails().await);
    }
    Ok(broken)
}

async fn play(
    case: Case,
    kind: Kind,
    target: Arc<Target>,
    differences: &'static [Difference],
) -> (Case, Outcome) {
    let target = (case.ground != Ground::Own).then_some(target);
    let scene = Scene {
        target,
        kind,
        name: case.name,
    };
    // A task of its own, so that a panic is one case's failure and not the suite's.
    let task = tokio::spawn(within(CASE_PATIENCE, "the case ends", (case.run)(scene)));
    let result = match task.await {
        Ok(result) => result.and_then(|result| result),
        Err(panic) => Err(panic.into()),
    };
    let listed = differences
        .iter()
        .find(|difference| difference.covers(case.name, &kind.name()));
    (case, judge(result, listed))
}

fn judge(result: Result<()>, listed: Option<&'static Difference>) -> Outcome {
    match (result, listed) {
        (Ok(()), None) => Outcome::Kept,
        (Ok(()), Some(_)) => Outcome::Broken(
            "a listed difference no longer differs: take it off the list".to_owned(),
        ),
        (Err(refusal), None) => match refusal.downcast_ref() {
            Some(Skipped(reason)) => Outcome::Skipped(reason),
            None => Outcome::Broken(format!("{refusal:#}")),
        },
        (Err(refusal), Some(difference)) => {
            let shown = format!("{refusal:#}");
            match ensure_shows(&shown, difference) {
                Ok(()) => Outcome::Differs(difference),
                Err(other) => Outcome::Broken(format!("{other:#}")),
            }
        }
    }
}

fn ensure_shows(shown: &str, difference: &Difference) -> Result<()> {
    ensure!(
        shown.contains(difference.shows),
        "another failure than the listed one: {shown}"
    );
    Ok(())
}
