//! Hostile bytes for the decoder `batch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meridian_revlog_fuzz::batch(data));
