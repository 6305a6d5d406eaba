//! One suite of etcd's rules, run against stock etcd, against gateways before it and against both regions
//! of `meridian dev`.
//!
//! Method: stock etcd proves the suite; what differs elsewhere is in `differences.rs`, reviewed line by
//! line. Words on the command line choose targets and cases: `-- gateway-3.6 watch`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test tells what it saw"
)]

mod auth;
mod cluster;
mod compaction;
mod delete;
mod differences;
mod headers;
mod history;
mod http;
mod json;
mod json_refused;
mod keepalive;
mod kubernetes;
mod leader;
mod lease;
mod limits;
mod locks;
mod maintenance;
mod proxy_table;
mod put;
mod range;
mod range_refused;
mod range_sorted;
mod txn;
mod txn_compare;
mod txn_refused;
mod watch_create;
mod watch_events;
mod watch_history;
mod watch_progress;
mod watch_span;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use meridian_tests::{
    gateway,
    suite::{self, Case, Choice},
    target::Kind,
};

const AREAS: &[&[Case]] = &[
    range::CASES,
    range_sorted::CASES,
    range_refused::CASES,
    history::CASES,
    put::CASES,
    delete::CASES,
    txn::CASES,
    txn_compare::CASES,
    txn_refused::CASES,
    compaction::CASES,
    headers::CASES,
    lease::CASES,
    keepalive::CASES,
    watch_create::CASES,
    watch_events::CASES,
    watch_span::CASES,
    watch_history::CASES,
    watch_progress::CASES,
    proxy_table::CASES,
    json::CASES,
    json_refused::CASES,
    http::CASES,
    auth::CASES,
    wire::CASES,
    maintenance::CASES,
    locks::CASES,
    limits::CASES,
    leader::CASES,
    kubernetes::CASES,
    cluster::CASES,
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let choice = Choice::from_args();
    let cases: Vec<Case> = AREAS.iter().flat_map(|area| area.iter().copied()).collect();
    let kinds = Kind::all()?;
    if kinds
        .iter()
        .any(|kind| kind.is_ours() && choice.may_take(*kind))
        && !choice.is_list()
    {
        // Says what to do when it is missing.
        drop(gateway::binary());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(suite::run(&kinds, &cases, differences::LISTED, &choice))
}
