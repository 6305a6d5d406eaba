//! `meridian status`: what a running node says of itself.

mod fetch;
mod page;

use anyhow::{Context, Result};
use clap::Args;
use meridian_conf::Endpoint;

use crate::{Outcome, show};

/// Options of `status`.
#[derive(Args)]
#[command(after_help = "Example:\n  meridian status --admin http://10.0.0.7:19379 --json")]
pub(crate) struct Options {
    /// The node's admin port
    #[arg(
        long,
        value_name = "URL",
        env = "MERIDIAN_ADMIN",
        default_value = "http://127.0.0.1:19379"
    )]
    admin: Endpoint,
    /// Print the node's JSON as it is
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(options: &Options) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let document = runtime.block_on(fetch::get(&options.admin, "/status.json"))?;
    if options.json {
        show(document.trim_end());
        return Ok(Outcome::Well);
    }
    let page = page::of(&document)
        .with_context(|| format!("{} is no Meridian admin port, by its answer", options.admin))?;
    show(&page);
    Ok(Outcome::Well)
}
