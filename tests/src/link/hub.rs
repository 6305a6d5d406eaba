//! A hub: beside a home, one UDP port for all regions.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Result, bail};

use super::Machine;
use crate::{
    pki::{Authority, Identity, NodeCertificate},
    ports,
};

/// Starts given up after this many port clashes in a row.
const START_TRIES: usize = 5;

/// What to start.
#[derive(Clone, Debug)]
pub struct HubPlan {
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// URLs of the home.
    pub home: Vec<String>,
    /// Where it listens for regions.
    pub address: IpAddr,
    /// Bytes of its window, if not the default.
    pub window_bytes: Option<u64>,
}

impl HubPlan {
    /// The only hub of region `us`, before `home`.
    #[must_use]
    pub fn before(home: Vec<String>) -> Self {
        Self {
            region: "us".to_owned(),
            name: "hub-0".to_owned(),
            home,
            address: Ipv4Addr::LOCALHOST.into(),
            window_bytes: None,
        }
    }
}

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    /// The process.
    pub machine: Machine,
    /// UDP: where it serves regions.
    pub listen: SocketAddr,
}

impl Hub {
    /// Starts `plan` with a certificate of `authority` and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(plan: &HubPlan, authority: &Authority, dir: &Path) -> Result<Self> {
        let certificate = NodeCertificate::of_hub(&plan.region, &plan.name);
        let identity = authority.issue_node(&certificate)?;
        for _ in 0..START_TRIES {
            let [mut listen, admin] = ports::free::<2>()?;
            listen.set_ip(plan.address);
            let config = plan.config([listen, admin], &authority.file(), &identity);
            let who = (plan.region.as_str(), plan.name.as_str());
            let machine = Machine::start(who, admin, &config, dir)?;
            let mut hub = Self { machine, listen };
            match hub.machine.ready().await {
                Ok(()) => return Ok(hub),
                Err(_) if hub.machine.clashed() => {}
                Err(refusal) => return Err(refusal),
            }
        }
        bail!("no free ports after {START_TRIES} tries")
    }
}

impl HubPlan {
    fn config(&self, [listen, admin]: [SocketAddr; 2], ca: &Path, own: &Identity) -> String {
        let Self {
            region, name, home, ..
        } = self;
        format!(
            "[node]\nname = \"{name}\"\nregion = \"{region}\"\n\n[home]\nendpoints = {home:?}\n\n\
             [hub]\nlisten = \"{listen}\"\n\n\
             [link]\nca = {ca:?}\ncert = {:?}\nkey = {:?}\n{}\n\
             [admin]\nlisten = \"{admin}\"\n\n[log]\nformat = \"text\"\nlevel = \"info\"\n",
            own.cert,
            own.key,
            window(self.window_bytes),
        )
    }
}

pub(super) fn window(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| {
        format!("\n[link.window]\nbytes = {bytes}\n")
    })
}
