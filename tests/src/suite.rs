//! The runner of the conformance suite: cases, targets, and the reviewed list of differences.
//!
//! A case is a rule of etcd's. Where a target breaks it in a listed way the run is still green; where a
//! listed difference is gone the run is red, so that the list cannot grow old.

use std::{future::Future, pin::Pin, sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::{
    client::Client,
    target::{Kind, Target, Wish},
    wait::within,
};

/// Above the longest case: a quorum lost and found again.
const CASE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Cases of one target that may run side by side.
const SIDE_BY_SIDE: usize = 6;

/// What a case needs from its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Nobody else: it counts revisions or compacts.
    Alone,
    /// Its own keys only: it mostly waits.
    Shared,
    /// A target of its own, which it starts itself.
    Own,
}

type Run = fn(Scene) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// `area::fact`.
    pub name: &'static str,
    /// What it needs.
    pub ground: Ground,
    /// The check.
    pub run: Run,
}

/// Names the cases of one file: `cases!("area"; Alone: a, b; Shared: c)`.
#[macro_export]
macro_rules! cases {
    ($area:literal; $($ground:ident: $($case:ident),* $(,)?);* $(;)?) => {
        /// The cases of this file.
        pub(crate) const CASES: &[$crate::suite::Case] = &[$($($crate::suite::Case {
            name: concat!($area, "::", stringify!($case)),
            ground: $crate::suite::Ground::$ground,
            run: |scene| Box::pin($case(scene)),
        },)*)*];
    };
}

/// Where one case plays: a target, a connection and a corner of the keyspace.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The shared target; cases with ground of their own start another by [`Scene::fresh`].
    target: Option<Arc<Target>>,
    kind: Kind,
    name: &'static str,
}

impl Scene {
    /// The shared target.
    ///
    /// # Errors
    /// When the case said it needs none.
    pub fn target(&self) -> Result<&Arc<Target>> {
        self.target
            .as_ref()
            .context("this case starts a target of its own")
    }

    /// A client with a connection of its own.
    ///
    /// # Errors
    /// When the case said it needs no target.
    pub fn client(&self) -> Result<Client> {
        self.target()?.connect()
    }

    /// A target of the same kind for this case alone.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn fresh(&self, wish: &Wish) -> Result<Target> {
        Target::start(self.kind, wish)
            .await
            .context("start a target of its own")
    }

    /// What kind of target it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A key that no other case uses.
    #[must_use]
    pub fn key(&self, name: &str) -> Bytes {
        format!("{}/{name}", self.name).into()
    }

    /// The prefix of all keys of this case.
    #[must_use]
    pub fn prefix(&self) -> Bytes {
        self.key("")
    }
}

/// A way in which a target is known to break a rule.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// Name of the case, or its beginning followed by `*`.
    pub case: &'static str,
    /// Name of the target, or its beginning followed by `*`.
    pub target: &'static str,
    /// Text that the failure contains, so that no other failure hides behind this one.
    pub shows: &'static str,
    /// Why it is so and why it stays so.
    pub reason: &'static str,
}

impl Difference {
    fn covers(&self, case: &str, target: &str) -> bool {
        fits(self.case, case) && fits(self.target, target)
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |beginning| name.starts_with(beginning))
}

/// What came of one case on one target.
#[derive(Debug)]
enum Outcome {
    Kept,
    Differs(&'static Difference),
    Broken(String),
}

/// The words a test binary is called with.
#[derive(Debug, Default)]
pub struct Choice {
    filters: Vec<String>,
    list: bool,
}

impl Choice {
    /// Reads `cargo test`'s arguments; what it does not know it leaves alone.
    #[must_use]
    pub fn from_args() -> Self {
        let mut choice = Self::default();
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--list" => choice.list = true,
                option if option.starts_with('-') => {}
                _ => choice.filters.push(argument),
            }
        }
        choice
    }

    /// Whether it only asks for the names.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.list
    }

    /// Whether a case on `kind` could be among the chosen, as far as the words name targets.
    #[must_use]
    pub fn may_take(&self, kind: Kind) -> bool {
        let names_target = |filter: &&String| {
            ["etcd-", "gateway-", "dev-"]
                .iter()
                .any(|t| filter.starts_with(t))
        };
        self.filters
            .iter()
            .filter(names_target)
            .all(|filter| kind.name().contains(filter.as_str()))
    }

    fn takes(&self, target: &str, case: &str) -> bool {
        let full = format!("{target} {case}");
        // Every word must fit: `etcd-3.6 watch` is the watch cases on etcd 3.6.
        self.filters
            .iter()
            .all(|filter| full.contains(filter.as_str()))
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
        if choice.list {
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
    let (mut kept, mut differing, mut broken) = (0_usize, 0_usize, Vec::new());
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
            let line = format!("{} {}", kind.name(), case.name);
            match outcome {
                Outcome::Kept => kept += 1,
                Outcome::Differs(difference) => {
                    differing += 1;
                    println!("differs {line}: {}", difference.reason);
                }
                Outcome::Broken(why) => {
                    broken.push(format!("{line}: {why}"));
                }
            }
        }
    }
    let (name, taken) = (kind.name(), started.elapsed());
    println!(
        "{name}: {kept} rules kept, {differing} listed differences, {} broken, {taken:.1?}",
        broken.len()
    );
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
        (Err(refusal), None) => Outcome::Broken(format!("{refusal:#}")),
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
