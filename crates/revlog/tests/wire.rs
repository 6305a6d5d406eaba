//! The wire: golden files of the version, and hostile bytes on stable Rust.
//!
//! Golden files say that this build reads what an older one wrote. The corpus of the fuzz targets runs
//! with every test, and so does a slice of seeded mutations of it: `MERIDIAN_SEED` and
//! `MERIDIAN_MINUTES` choose another slice (`cargo xtask fuzz`).
#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at a broken expectation"
)]

#[path = "wire/golden.rs"]
mod golden;
#[path = "wire/hostile.rs"]
mod hostile;
#[path = "wire/log.rs"]
mod log;
#[allow(unreachable_pub, reason = "the fuzz targets use it as a crate")]
#[path = "../fuzz/src/lib.rs"]
mod subjects;
