//! Goal: what the emulator says of itself is so. Method: a socket of the test at each end; levels and
//! counters, and of times only bounds from below and medians, which a busy machine does not move.

mod datagrams;
mod line;
mod streams;
