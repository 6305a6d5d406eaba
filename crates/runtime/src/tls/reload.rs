//! A value made from files, made again when one of them changes.
//!
//! Files are looked at when the value is asked for, at most once in [`LOOK_INTERVAL`]; so a
//! rotation costs nothing when nobody connects. Invariant: the value is always one that was made
//! whole.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;

use super::TlsError;

/// Files are looked at no more often than this: three `stat` calls in two seconds are nothing,
/// and a rotation is taken up within two seconds of the next connection.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

type Make<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// A value kept up with its files; share it by `Arc`.
pub struct Reloading<T> {
    files: Vec<PathBuf>,
    make: Make<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    /// What the files looked like when they were last read, well or not.
    seen: Stamps,
    looked_at: Instant,
}

/// Per file: when it was modified and how long it is; nothing if it is not there.
type Stamps = Vec<Option<(SystemTime, u64)>>;

impl<T> Reloading<T> {
    /// What `make` makes of `files`, now and whenever they change.
    ///
    /// # Errors
    /// What `make` says the first time; later it is logged, and the last good value kept.
    pub fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let seen = stamps(&files);
        let state = State {
            value: Arc::new(make()?),
            seen,
            looked_at: Instant::now(),
        };
        Ok(Self {
            files,
            make: Box::new(make),
            state: Mutex::new(state),
        })
    }

    /// The value as the files are now, give or take two seconds.
    pub fn current(&self) -> Arc<T> {
        self.current_at(Instant::now())
    }

    /// As [`Reloading::current`], at a time of the caller's (tests move it).
    pub fn current_at(&self, now: Instant) -> Arc<T> {
        let mut state = self.state.lock();
        if now.saturating_duration_since(state.looked_at) >= LOOK_INTERVAL {
            state.looked_at = now;
            self.look(&mut state);
        }
        state.value.clone()
    }

    fn look(&self, state: &mut State<T>) {
        let stamps = stamps(&self.files);
        if stamps == state.seen {
            return;
        }
        // Stamps are taken before reading: a file changed while we read looks changed again.
        state.seen = stamps;
        match (self.make)() {
            Ok(value) => {
                state.value = Arc::new(value);
                tracing::info!(files = ?self.files, "certificate files changed, now in use");
            }
            Err(error) => {
                tracing::warn!(%error, "certificate files changed but cannot be used; keeping the last good ones");
            }
        }
    }
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reloading({:?})", self.files)
    }
}

fn stamps(files: &[PathBuf]) -> Stamps {
    let stamp = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    files.iter().map(stamp).collect()
}
