//! Codes commits into batches, once for everybody.
//!
//! Invariant: what it is given is contiguous, and so is what it makes; a group ends after
//! [`EncoderConfig::group_raw_bytes`]. It never waits and knows neither clock nor chance: how many
//! commits go into a batch, and the first group's id, are the caller's.

use meridian_keyspace::Commit;

use crate::{
    Batch, Codec, Epoch, GroupId,
    batch::{Head, Member},
    payload,
    zstandard::{Compressor, End, WINDOW_LOG_MAX},
};

/// What to aim at with the payload of one batch, before coding: a reader can go on after each. Far
/// above what is gained by more (zstd's blocks are of 128 KiB), far below the window.
pub const BATCH_RAW_BYTES: usize = 1 << 20;

/// The least of zstd's windows in a group, 512 KiB: its own choice at level 1.
const WINDOW_LOG_MIN: u32 = 19;

/// Buffers that one batch has blown up beyond this are given back after it.
const SCRATCH_BYTES_MAX: usize = 2 * BATCH_RAW_BYTES;

/// How many of these commits to put into the next batch: at least one, and not more than
/// [`BATCH_RAW_BYTES`] before coding.
pub fn batch_commits(commits: &[Commit]) -> usize {
    let mut bytes = 0;
    let fits = commits.iter().take_while(|commit| {
        bytes += payload::commit_bytes(commit);
        bytes <= BATCH_RAW_BYTES
    });
    fits.count().max(1).min(commits.len())
}

/// How batches are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// The epoch of all that is encoded.
    pub epoch: Epoch,
    /// How payloads are coded.
    pub codec: Codec,
    /// zstd's level.
    pub level: i32,
    /// Bytes before coding after which a new group begins, and zstd's window. Who joins gets at most
    /// one group more than it needs; encoder and decoder hold a window each. Of more than 16 MiB
    /// only the last 16 are a context.
    pub group_raw_bytes: usize,
}

impl EncoderConfig {
    /// The defaults of decision 0006 for this epoch.
    pub const fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            codec: Codec::Continuous,
            level: 3,
            group_raw_bytes: 4 << 20,
        }
    }
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self::new(Epoch::ZERO)
    }
}

/// Codes commits into batches.
pub struct Encoder {
    config: EncoderConfig,
    /// Of the next group that begins.
    next_group: GroupId,
    /// The group that goes on, and its bytes so far.
    group: Option<(GroupId, usize)>,
    compressor: Option<Compressor>,
    raw: Vec<u8>,
    coded: Vec<u8>,
    head: Vec<u8>,
}

impl Encoder {
    /// An encoder whose groups count up from `first_group`.
    pub fn new(config: EncoderConfig, first_group: GroupId) -> Self {
        let compressor = match config.codec {
            Codec::None => None,
            Codec::Zstd => Some(Compressor::new(config.level, 0)),
            Codec::Continuous => Some(Compressor::new(
                config.level,
                window_log(config.group_raw_bytes),
            )),
        };
        Self {
            config,
            next_group: first_group,
            group: None,
            compressor,
            raw: Vec::new(),
            coded: Vec::new(),
            head: Vec::new(),
        }
    }

    /// What it was made with.
    pub const fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The next batch begins a group.
    pub const fn restart(&mut self) {
        self.group = None;
    }

    /// Codes commits, all of the encoder's epoch, into one batch. Readers refuse one of more than
    /// [`RAW_BYTES_MAX`](crate::RAW_BYTES_MAX) before coding, which only a single gigantic commit
    /// can be if the caller cuts by [`batch_commits`].
    ///
    /// # Panics
    /// If there are no commits, one is empty, or they are not contiguous.
    pub fn encode(&mut self, commits: &[Commit]) -> Batch {
        check(commits);
        self.raw.clear();
        self.raw
            .reserve(commits.iter().map(payload::commit_bytes).sum());
        for commit in commits {
            payload::put_commit(&mut self.raw, commit);
        }
        let member = self.enter_group();
        let head = Head {
            epoch: self.config.epoch,
            first: commits[0].revision,
            last: commits[commits.len() - 1].revision,
            events: commits.iter().map(|c| c.records.len() as u32).sum(),
            codec: self.config.codec,
            member,
            raw_len: self.raw.len() as u64,
        };
        self.compress(member);
        let payload = match self.config.codec {
            Codec::None => &self.raw,
            Codec::Zstd | Codec::Continuous => &self.coded,
        };
        let batch = Batch::seal(head, payload, &mut self.head);
        self.give_back();
        batch
    }

    fn compress(&mut self, member: Member) {
        let Some(compressor) = &mut self.compressor else {
            return;
        };
        match member {
            Member::Start(_) => compressor.reset(),
            Member::Continues(_) => {}
        }
        let end = match self.config.codec {
            Codec::None | Codec::Zstd => End::Frame,
            Codec::Continuous => End::Flush,
        };
        compressor.compress(&self.raw, end, &mut self.coded);
    }

    /// Puts the payload at hand into the group that goes on, or begins one.
    fn enter_group(&mut self) -> Member {
        let raw_len = self.raw.len();
        if let (Codec::Continuous, Some((group, bytes))) = (self.config.codec, &mut self.group)
            && *bytes < self.config.group_raw_bytes
        {
            *bytes += raw_len;
            return Member::Continues(group.tag());
        }
        let group = self.next_group;
        self.next_group = group.next();
        self.group = Some((group, raw_len));
        Member::Start(group)
    }

    fn give_back(&mut self) {
        for buffer in [&mut self.raw, &mut self.coded] {
            buffer.clear();
            if buffer.capacity() > SCRATCH_BYTES_MAX {
                buffer.shrink_to(SCRATCH_BYTES_MAX);
            }
        }
    }
}

/// A window that holds a whole group, as far as a decoder allows it.
fn window_log(group_raw_bytes: usize) -> u32 {
    let whole = group_raw_bytes.checked_next_power_of_two();
    whole
        .map_or(WINDOW_LOG_MAX, usize::ilog2)
        .clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX)
}

fn check(commits: &[Commit]) {
    assert!(!commits.is_empty(), "a batch holds a commit at least");
    for commit in commits {
        assert!(!commit.records.is_empty(), "a commit wrote something");
    }
    for pair in commits.windows(2) {
        let due = pair[0].revision.next();
        assert_eq!(pair[1].revision, due, "the log is contiguous");
    }
}

#[cfg(test)]
mod tests;
