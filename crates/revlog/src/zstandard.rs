//! zstd's contexts as the log needs them: one payload after another, each flushed whole, in one
//! context for a group or in a fresh one each.
//!
//! Invariant: a context is made once and reset for a new start; what comes out of a payload is
//! bounded by what its header says, in memory too; a window is never larger than [`WINDOW_LOG_MAX`].

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, compress_bound,
    zstd_sys::ZSTD_EndDirective,
};

/// The largest window a peer may make us hold: 16 MiB, four times the default of a group.
pub(crate) const WINDOW_LOG_MAX: u32 = 24;

/// Output is allocated in steps of this, so that a header alone allocates no more.
const STEP_BYTES: usize = 64 << 10;

/// How a payload ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The context goes on with the next payload.
    Flush,
    /// It was a frame of its own.
    Frame,
}

/// Compresses payloads.
pub(crate) struct Compressor(CCtx<'static>);

impl Compressor {
    /// With zstd's level, and for `window_log` 0 its own window for that level.
    pub(crate) fn new(level: i32, window_log: u32) -> Self {
        let mut context = CCtx::create();
        let mut set = |parameter| {
            context
                .set_parameter(parameter)
                .expect("zstd takes these parameters: a level is clamped, the window is in range");
        };
        set(CParameter::CompressionLevel(level));
        set(CParameter::WindowLog(window_log));
        Self(context)
    }

    /// Forgets everything before.
    pub(crate) fn reset(&mut self) {
        self.0
            .reset(ResetDirective::SessionOnly)
            .expect("a session without workers can always be reset");
    }

    /// Replaces `out` by the compressed payload.
    pub(crate) fn compress(&mut self, raw: &[u8], end: End, out: &mut Vec<u8>) {
        out.clear();
        out.reserve(compress_bound(raw.len()));
        let directive = match end {
            End::Flush => ZSTD_EndDirective::ZSTD_e_flush,
            End::Frame => ZSTD_EndDirective::ZSTD_e_end,
        };
        let mut input = InBuffer::around(raw);
        loop {
            let at = out.len();
            let mut output = OutBuffer::around_pos(out, at);
            let left = self
                .0
                .compress_stream2(&mut output, &mut input, directive)
                .expect("zstd compresses anything, with memory to do it");
            if left == 0 {
                return;
            }
            out.reserve(left.max(STEP_BYTES));
        }
    }
}

/// Decompresses payloads.
pub(crate) struct Decompressor(DCtx<'static>);

impl Decompressor {
    pub(crate) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .expect("the window is in range");
        Self(context)
    }

    /// Forgets everything before.
    pub(crate) fn reset(&mut self) {
        self.0
            .reset(ResetDirective::SessionOnly)
            .expect("a session can always be reset");
    }

    /// Replaces `out` by the payload, which has to be of `raw_len` bytes. After an error nothing is
    /// to be decompressed before a reset.
    pub(crate) fn decompress(
        &mut self,
        coded: &[u8],
        raw_len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        out.clear();
        let mut input = InBuffer::around(coded);
        loop {
            let at = out.len();
            if at > raw_len {
                return Err("it is longer than its header says");
            }
            // One byte more than is due, so that a full buffer means that there was more.
            out.reserve((raw_len - at + 1).min(STEP_BYTES.max(at)));
            let before = input.pos();
            let mut output = OutBuffer::around_pos(out, at);
            self.0
                .decompress_stream(&mut output, &mut input)
                .map_err(|_| "zstd cannot read it")?;
            let stuck = input.pos() == before && out.len() == at;
            if stuck || (input.pos() == coded.len() && out.len() < out.capacity()) {
                break;
            }
        }
        if input.pos() < coded.len() || out.len() != raw_len {
            return Err("it has another length than its header says");
        }
        Ok(())
    }
}
