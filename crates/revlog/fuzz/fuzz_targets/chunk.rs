//! Hostile bytes for the decoder `chunk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meridian_revlog_fuzz::chunk(data));
