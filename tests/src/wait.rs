//! Waiting for a level to be reached, with a deadline: the one place where tests let time pass.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How often a level is looked at: often enough not to be felt, seldom enough for two cores.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Enough for anything on one busy machine that is not meant to take long.
pub const SOON: Duration = Duration::from_secs(15);

/// Looks again and again until `look` answers `Ok`, and gives that; after `deadline`, what it last said.
///
/// # Errors
/// The last refusal of `look`, when the deadline has passed.
pub async fn eventually<T, E, F>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<T>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    loop {
        let refusal = match look().await {
            Ok(value) => return Ok(value),
            Err(refusal) => refusal,
        };
        if started.elapsed() > deadline {
            bail!("not within {deadline:?}: {what}: {refusal:#}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for `future`, at most `deadline`.
///
/// # Errors
/// When the deadline passes first.
pub async fn within<T>(
    deadline: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T> {
    match tokio::time::timeout(deadline, future).await {
        Ok(value) => Ok(value),
        Err(_) => bail!("not within {deadline:?}: {what}"),
    }
}
