//! Walks the merged tree and builds a [`Conf`], collecting every problem.
//!
//! One function per section; each reads all its fields before it gives up, so that one run shows
//! all there is to mend. Checks between fields come last, and only over fields that are right;
//! which sections go together is `roles`' part.

mod gateway;
mod home;
mod link;
mod ports;
mod roles;

use std::{cell::RefCell, collections::HashMap, path::Path, time::Duration};

use config::Value;

use crate::{
    problem::Problems,
    schema::{Admin, Conf, Log, Node},
    section::Section,
    values,
};

/// Waits a person can mean: a hundredth of a second would fail every call, an hour hides a fault.
const WAIT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));

const NO_DEFAULT: &str = "a default is missing from layers/defaults*.toml";

/// Builds the configuration from the merged layers; relative file names count from `folder`.
pub(crate) fn read(table: HashMap<String, Value>, folder: &Path) -> Result<Conf, Problems> {
    let problems = RefCell::new(Vec::new());
    let mut root = Section::root(table, &problems);
    let conf = read_root(&mut root, folder);
    root.finish();
    match (conf, problems.into_inner()) {
        (Some(conf), problems) if problems.is_empty() => Ok(conf),
        (_, problems) => Err(Problems(problems)),
    }
}

fn read_root(root: &mut Section<'_>, folder: &Path) -> Option<Conf> {
    let shape = roles::Shape::of(root);
    let node = root.required_section("node", "to say who this node is", read_node);
    let parts = roles::Parts {
        home: root.section("home", |s| home::read(s, folder)),
        hub: root.section("hub", link::read_hub),
        link: root.section("link", |s| link::read(s, folder, shape.is_hub())),
        gateway: root.section("gateway", |s| gateway::read(s, folder)),
    };
    let admin = root.required_section("admin", "to say where probes ask", read_admin);
    let log = root.required_section("log", "to say what is logged", read_log);
    shape.check(root);
    if let Some(admin) = &admin {
        ports::check(root, &parts, admin);
    }
    Some(Conf {
        node: node?,
        roles: parts.join()?,
        admin: admin?,
        log: log?,
    })
}

fn read_node(node: &mut Section<'_>) -> Option<Node> {
    let name = node.required("name", "give this node a name", values::name);
    let region = node.required("region", "give the name of its region", values::name);
    let drain_timeout = wait(node, "drain_timeout");
    Some(Node {
        name: name?,
        region: region?,
        drain_timeout: drain_timeout?,
    })
}

fn read_admin(admin: &mut Section<'_>) -> Option<Admin> {
    let listen = admin.required("listen", NO_DEFAULT, values::address);
    Some(Admin { listen: listen? })
}

fn read_log(log: &mut Section<'_>) -> Option<Log> {
    let format = log.required("format", NO_DEFAULT, values::log_format);
    let level = log.required("level", NO_DEFAULT, values::log_level);
    Some(Log {
        format: format?,
        level: level?,
    })
}

fn wait(section: &mut Section<'_>, key: &'static str) -> Option<Duration> {
    let (least, most) = WAIT;
    section.required(key, NO_DEFAULT, |raw| values::duration(raw, least, most))
}
