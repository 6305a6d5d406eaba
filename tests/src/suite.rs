//! The conformance suite's own: cases, targets, and the reviewed list of differences.
//!
//! A case is a rule of etcd's. Where a target breaks it in a listed way the run is still green; where a
//! listed difference is gone the run is red, so that the list cannot grow old. What cannot be tried on a
//! target is skipped with its reason, and never counted as kept.

mod choice;
mod run;

use std::{future::Future, pin::Pin, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;

use crate::{
    client::Client,
    target::{Kind, Target, Wish},
};

pub use choice::Choice;
pub use run::run;

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

/// Why a case cannot be tried on a target: given up with, it is no failure and no success.
#[derive(Debug)]
struct Skipped(&'static str);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot be tried here: {}", self.0)
    }
}

impl std::error::Error for Skipped {}

/// What a case returns that cannot be tried on its target.
#[must_use]
pub fn skipped(reason: &'static str) -> anyhow::Error {
    Skipped(reason).into()
}
