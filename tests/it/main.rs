//! The gateway as a whole, as a process before a real etcd and over a bad network.
#![allow(clippy::print_stdout, reason = "a test tells what it saw")]

mod bootstrap;
mod bounds;
mod configuration;
mod dev;
mod dev_killed;
mod drain;
mod flood;
mod levels;
mod neighbours;
mod region;
mod restarted;
mod status;
mod tls;
