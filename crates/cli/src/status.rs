//! `meridian status`: what a running node says of itself, or all of them through one.

pub(crate) mod all;
mod fetch;
pub(crate) mod link;
mod page;
mod seen;
mod table;
mod units;

use anyhow::{Context, Result};
use clap::Args;
use meridian_conf::Endpoint;

use crate::{Outcome, show};

/// Options of `status`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  meridian status --admin http://10.0.0.7:19379 --json
  meridian status --all                          every node of every region, in a table")]
pub(crate) struct Options {
    /// The node's admin port
    #[arg(
        long,
        value_name = "URL",
        env = "MERIDIAN_ADMIN",
        default_value = "http://127.0.0.1:19379"
    )]
    admin: Endpoint,
    /// Every node of every region: this one asks them through the hub
    #[arg(long)]
    all: bool,
    /// Print the JSON as it is
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(options: &Options) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let path = match options.all {
        true => "/status-all.json",
        false => "/status.json",
    };
    let document = runtime.block_on(fetch::get(&options.admin, path))?;
    if options.json {
        show(document.trim_end());
        return Ok(Outcome::Well);
    }
    let page = match options.all {
        true => table::of(&document),
        false => page::of(&document),
    };
    let page = page
        .with_context(|| format!("{} is no Meridian admin port, by its answer", options.admin))?;
    show(&page);
    Ok(Outcome::Well)
}
