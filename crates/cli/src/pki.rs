//! `meridian pki`: an authority for development, and certificates for nodes.
//!
//! For production, any authority does that issues the same names: the URI
//! `meridian://REGION/NAME`, the DNS name `node.meridian.internal`, and `hub.meridian.internal` too
//! where the node may be a hub. Nothing is overwritten unless `--force` says so.

mod authority;
mod folder;

use std::{
    io,
    path::{Path, PathBuf, absolute},
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use meridian_delegate::NodeName;

pub(crate) use authority::{Right, Subject};
pub(crate) use folder::{Existing, Folder, NodeFiles};

use crate::{Outcome, show};

/// The folder that the examples name.
const FOLDER: &str = ".meridian/pki";

/// Long enough not to be in the way of development, short enough to be renewed once by whoever
/// forgot it.
pub(crate) const NODE_DAYS: u32 = 365;

/// A node's certificate need not outlast its authority.
const NODE_DAYS_MAX: u32 = authority::AUTHORITY_DAYS;

/// Options of `pki`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an authority and certificates for nodes; by default those of conf/examples
    #[command(after_help = "\
Examples:
  meridian pki init                                 us/hub-1 (a hub) and eu/gateway-1
  meridian pki init --dir /etc/meridian/pki --hub us/hub-1 --node eu/gw-1 --node eu/gw-2")]
    Init(Init),
    /// Issue a certificate for one more node, or a new one for a known node
    #[command(after_help = "\
Examples:
  meridian pki issue --region eu --name gateway-2
  meridian pki issue --region us --name hub-1 --hub --force      renews it; nodes read it again")]
    Issue(Issue),
}

#[derive(Args)]
struct Init {
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    dir: PathBuf,
    /// A node that is no hub; can be given again
    #[arg(long = "node", value_name = "REGION/NAME", value_parser = node_name)]
    nodes: Vec<NodeName>,
    /// A node that may be a hub; can be given again
    #[arg(long = "hub", value_name = "REGION/NAME", value_parser = node_name)]
    hubs: Vec<NodeName>,
    /// Overwrite what is there: what the old authority has signed is worth nothing then
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
struct Issue {
    /// Where the authority's files are, and the node's go
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    dir: PathBuf,
    /// The node's region, as in its configuration
    #[arg(long, value_parser = part)]
    region: String,
    /// The node's name, as in its configuration
    #[arg(long, value_parser = part)]
    name: String,
    /// It may be a hub
    #[arg(long)]
    hub: bool,
    /// For how long it is good
    #[arg(long, value_name = "DAYS", default_value_t = NODE_DAYS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(NODE_DAYS_MAX)))]
    days: u32,
    /// Overwrite the node's certificate and key
    #[arg(long)]
    force: bool,
}

fn part(text: &str) -> Result<String, String> {
    meridian_conf::check_name(text).map(|()| text.to_owned())
}

fn node_name(text: &str) -> Result<NodeName, String> {
    let (region, name) = text
        .split_once('/')
        .ok_or("give REGION/NAME, as in eu/gateway-1")?;
    Ok(NodeName {
        region: part(region).map_err(|wrong| format!("the region {wrong}"))?,
        name: part(name).map_err(|wrong| format!("the name {wrong}"))?,
    })
}

pub(crate) fn execute(options: Options) -> Result<Outcome> {
    let page = match options.command {
        Command::Init(options) => init(options)?,
        Command::Issue(options) => issue(options)?,
    };
    show(page.trim_end());
    Ok(Outcome::Well)
}

fn init(options: Init) -> Result<String> {
    let Init {
        dir,
        nodes,
        hubs,
        force,
    } = options;
    let subjects = subjects(nodes, hubs);
    let existing = Existing::from_force(force);
    let dir = absolute(&dir).context("find --dir")?;
    Folder::check_free(&dir, &subjects, existing)?;
    let folder = Folder::found(&dir, existing)?;
    let mut page = format!(
        "wrote {}   the authority, which every node trusts\n\
         wrote {}   its key, which signs certificates: keep it off the nodes\n",
        shown(&folder.ca()),
        shown(&folder.ca_key()),
    );
    let issued = subjects.iter().map(|subject| {
        let files = folder.issue(subject, existing)?;
        Ok((subject, files))
    });
    let issued = issued.collect::<Result<Vec<_>>>()?;
    for (subject, files) in &issued {
        page += &written(subject, files);
    }
    for (subject, files) in &issued {
        page += &lines_to_paste(subject, files);
    }
    Ok(page)
}

/// Who gets a certificate: the nodes of the examples, unless others are named.
fn subjects(nodes: Vec<NodeName>, hubs: Vec<NodeName>) -> Vec<Subject> {
    let subject = |node: NodeName, right| Subject {
        node,
        right,
        days: NODE_DAYS,
    };
    let of_examples = nodes.is_empty() && hubs.is_empty();
    if of_examples {
        let named = |region: &str, name: &str| NodeName {
            region: region.to_owned(),
            name: name.to_owned(),
        };
        return vec![
            subject(named("us", "hub-1"), Right::Hub),
            subject(named("eu", "gateway-1"), Right::Node),
        ];
    }
    let hubs = hubs.into_iter().map(|node| subject(node, Right::Hub));
    let nodes = nodes.into_iter().map(|node| subject(node, Right::Node));
    let mut subjects: Vec<Subject> = Vec::new();
    for one in hubs.chain(nodes) {
        // A hub that is named as a node too is a hub.
        if subjects.iter().all(|known| known.node != one.node) {
            subjects.push(one);
        }
    }
    subjects
}

fn issue(options: Issue) -> Result<String> {
    let Issue {
        dir,
        region,
        name,
        hub,
        days,
        force,
    } = options;
    let subject = Subject {
        node: NodeName { region, name },
        right: if hub { Right::Hub } else { Right::Node },
        days,
    };
    let dir = absolute(&dir).context("find --dir")?;
    let files = Folder::open(&dir)?.issue(&subject, Existing::from_force(force))?;
    Ok(written(&subject, &files) + &lines_to_paste(&subject, &files))
}

fn written(subject: &Subject, files: &NodeFiles) -> String {
    let Subject { node, right, days } = subject;
    let right = match right {
        Right::Node => "",
        Right::Hub => ", may be a hub",
    };
    format!(
        "wrote {}   {node}{right}, good for {days} days\nwrote {}   its key\n",
        shown(&files.cert),
        shown(&files.key)
    )
}

fn lines_to_paste(subject: &Subject, files: &NodeFiles) -> String {
    let hubs = match subject.right {
        Right::Node => "hubs = [\"127.0.0.1:7379\"]   # HOST:PORT of your hubs\n",
        Right::Hub => "",
    };
    let NodeFiles { ca, cert, key } = files;
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    format!(
        "\nFor the configuration of {}:\n\n[link]\n{hubs}ca = {}\ncert = {}\nkey = {}\n",
        subject.node,
        quoted(ca),
        quoted(cert),
        quoted(key)
    )
}

/// A path as a person would type it here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir();
    let short = |here: PathBuf| path.strip_prefix(here).map(Path::to_owned);
    match here.map(short) {
        Ok(Ok(short)) => short.display().to_string(),
        Ok(Err(_)) | Err(io::Error { .. }) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
