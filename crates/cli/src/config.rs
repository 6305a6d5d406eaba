//! `meridian config check`: what is in effect, or all that is wrong.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use meridian_conf::Conf;

use crate::{Outcome, complain, show, wire};

/// Options of `config`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the effective configuration, with defaults and environment applied; exit code 2 and
    /// every problem if it is wrong
    Check {
        /// The configuration file
        file: PathBuf,
    },
}

pub(crate) fn execute(options: Options) -> Result<Outcome> {
    let Command::Check { file } = options.command;
    let Some(conf) = read(&file) else {
        return Ok(Outcome::Misconfigured);
    };
    show(conf.effective().trim_end());
    Ok(Outcome::Well)
}

/// The configuration in `file`, its certificates looked at; tells all that is wrong otherwise.
pub(crate) fn read(file: &std::path::Path) -> Option<Conf> {
    let conf = meridian_conf::load(file)
        .map_err(|error| complain(&error.to_string()))
        .ok()?;
    let problems = wire::tls_problems(&conf);
    for problem in &problems {
        complain(&format!("{}: {problem}", file.display()));
    }
    problems.is_empty().then_some(conf)
}
