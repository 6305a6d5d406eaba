//! `meridian`, the one binary: parses the command line and hands over to a subcommand's file.
//!
//! Owns the exit codes: 0 well, 1 could not start or failed, 2 wrong configuration or arguments,
//! 130 stopped by a second signal before the drain was over. It knows no room; `wire` does.

mod config;
mod dev;
mod logging;
mod pki;
mod run;
mod signals;
mod status;
mod wire;

use std::{
    io::Write,
    process::{ExitCode, Termination},
};

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Well,
    /// It could not start, or failed.
    Failed,
    /// The configuration is wrong.
    Misconfigured,
    /// A second signal cut the drain short.
    CutShort,
}

impl Termination for Outcome {
    fn report(self) -> ExitCode {
        match self {
            Self::Well => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::Misconfigured => ExitCode::from(2),
            Self::CutShort => ExitCode::from(130),
        }
    }
}

/// Carries one etcd keyspace across regions: local reads and watches, writes to the home cluster.
#[derive(Parser)]
#[command(name = "meridian", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  meridian dev                                    two regions on this machine, to try it out
  meridian run --config conf/examples/gateway.toml
  meridian pki init                               certificates for conf/examples/{home,region}.toml
  meridian config check gateway.toml              what is in effect, or all that is wrong
  meridian status --admin http://127.0.0.1:19379

Exit codes: 0 well, 1 could not start or failed, 2 wrong configuration or arguments,
130 stopped by a second signal.";

#[derive(Subcommand)]
enum Command {
    /// Run this node's roles as a configuration file says
    Run(run::Options),
    /// Run an embedded home and two regions in one process, to try things out
    Dev(dev::Options),
    /// Make certificates for the links between nodes
    Pki(pki::Options),
    /// Check configuration files
    Config(config::Options),
    /// Show what a running node says of itself
    Status(status::Options),
}

fn main() -> Outcome {
    meridian_runtime::tls::install_provider();
    let outcome = match Arguments::parse().command {
        Command::Run(options) => run::execute(&options),
        Command::Dev(options) => dev::execute(options),
        Command::Pki(options) => pki::execute(options),
        Command::Config(options) => config::execute(options),
        Command::Status(options) => status::execute(&options),
    };
    outcome.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        Outcome::Failed
    })
}

/// One line to the person who started us, on standard error.
pub(crate) fn complain(what: &str) {
    // If nobody reads it, nobody can be told.
    let _ = writeln!(std::io::stderr(), "error: {what}");
}

/// What a command was asked for, on standard output.
pub(crate) fn show(what: &str) {
    // A reader that went away (`| head`) has seen enough.
    let _ = writeln!(std::io::stdout(), "{what}");
}

/// The runtime that nodes run on.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("meridian")
        .build()
}

#[cfg(test)]
mod tests;
