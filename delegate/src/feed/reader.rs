//! One reader of the log: its position, its decoder, and where it reads from just now.

use std::sync::Arc;

use futures_util::StreamExt;
use meridian_keyspace::{Commit, Revision};
use meridian_revlog::{BatchError, Decoder, FeedError, SeekError};
use tokio::sync::watch;

use super::{Commits, Upstream};
use crate::relay::{Lineage, Place, Relay};

/// Coded bytes taken from the window at a time. Decoded they are some 5 to 20 times that, which is
/// what one step holds in memory.
const STEP_BYTES: usize = 64 << 10;

/// Reads the log from one revision on.
pub(super) struct Reader {
    relay: Arc<Relay>,
    upstream: Arc<dyn Upstream>,
    changes: watch::Receiver<u64>,
    due: Revision,
    /// The home whose log it reads.
    lineage: Lineage,
    /// What was at hand ran out before the end: decodes all until it has caught up.
    decodes_all: bool,
    source: Source,
}

/// Where it reads from just now.
enum Source {
    /// It has to find its place.
    Lost,
    /// The window.
    Window { place: Place, decoder: Decoder },
    /// What the window is filled from, until the window reaches back far enough.
    History(Commits),
}

impl Reader {
    pub(super) fn new(relay: Arc<Relay>, upstream: Arc<dyn Upstream>, from: Revision) -> Self {
        Self {
            changes: relay.changes(),
            lineage: relay.lineage(),
            relay,
            upstream,
            due: from,
            decodes_all: false,
            source: Source::Lost,
        }
    }

    /// The commits from where it stands on, as soon as there are any.
    pub(super) async fn next(&mut self) -> Result<Vec<Commit>, FeedError> {
        loop {
            // What changes from here on wakes the wait below.
            self.changes.mark_unchanged();
            let commits = match &mut self.source {
                Source::Lost => {
                    self.find_place().await?;
                    continue;
                }
                Source::History(commits) => match commits.next().await {
                    Some(commits) => commits?,
                    None => {
                        self.source = Source::Lost;
                        continue;
                    }
                },
                Source::Window { .. } => match self.read_window()? {
                    Some(commits) => commits,
                    None => {
                        self.changed().await?;
                        continue;
                    }
                },
            };
            if let Some(fresh) = self.admit(commits) {
                self.leave_history();
                return Ok(fresh);
            }
        }
    }

    async fn find_place(&mut self) -> Result<(), FeedError> {
        let lineage = self.relay.lineage();
        if !self.lineage.agrees(lineage) {
            // The same numbers are other revisions now.
            return Err(FeedError::Compacted {
                compacted: Revision::ZERO,
            });
        }
        self.lineage = lineage;
        match self.relay.seek(self.due, None) {
            Ok(place) => {
                let decoder = Decoder::new();
                self.source = Source::Window { place, decoder };
            }
            Err(SeekError::Unpositioned) => {
                self.upstream.begin_at(self.due)?;
                if self.relay.at().is_none() {
                    self.changed().await?;
                }
            }
            // The window has yet to come to where this reader is.
            Err(SeekError::Ahead { .. }) => self.changed().await?,
            Err(SeekError::Before { .. }) => {
                self.source = Source::History(self.upstream.history(self.due).await?);
            }
        }
        Ok(())
    }

    /// Goes over to the window as soon as that holds what is due.
    fn leave_history(&mut self) {
        if let Source::History(_) = self.source
            && let Ok(place) = self.relay.seek(self.due, None)
        {
            let decoder = Decoder::new();
            self.source = Source::Window { place, decoder };
        }
    }

    /// What the window has next; none if there is nothing new, or the place has to be found again.
    fn read_window(&mut self) -> Result<Option<Vec<Commit>>, FeedError> {
        let Source::Window { place, decoder } = &mut self.source else {
            return Ok(None);
        };
        let mut batches = Vec::new();
        if self.relay.read(place, STEP_BYTES, &mut batches).is_err() {
            self.source = Source::Lost;
            return Ok(Some(Vec::new()));
        }
        if batches.is_empty() {
            self.decodes_all = false;
            return Ok(None);
        }
        let mut commits = Vec::new();
        for batch in &batches {
            let hot = match self.decodes_all {
                false => self.relay.hot(place.filling(), batch.first()),
                true => None,
            };
            // As it came from the home if that is still at hand, else decoded.
            let of_batch = match hot {
                Some(commits) => Ok(commits.to_vec()),
                None => decoder.decode(batch),
            };
            match of_batch {
                Ok(of_batch) => commits.extend(of_batch),
                // The last ones came undecoded: go through the group from its start.
                Err(BatchError::NotAligned) if !self.decodes_all => {
                    self.decodes_all = true;
                    self.source = Source::Lost;
                    break;
                }
                Err(error) => {
                    let text = format!("a batch of the log cannot be read: {error}");
                    return Err(FeedError::Unavailable(text));
                }
            }
        }
        Ok(Some(commits))
    }

    /// Drops what was delivered before, and moves on. None if nothing is left.
    fn admit(&mut self, mut commits: Vec<Commit>) -> Option<Vec<Commit>> {
        let known = commits.partition_point(|commit| commit.revision < self.due);
        commits.drain(..known);
        // A gap is for the replica to find: it judges each revision.
        self.due = commits.last()?.revision.next();
        Some(commits)
    }

    async fn changed(&mut self) -> Result<(), FeedError> {
        let gone = |_| FeedError::Unavailable("the relay is stopping".to_owned());
        self.changes.changed().await.map_err(gone)
    }
}
