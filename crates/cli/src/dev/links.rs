//! The links of `meridian dev`: the same hub and the same QUIC as in production, on loopback, with
//! the distance emulated in the path.
//!
//! Certificates are made anew at each start, in the development folder.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path as FilePath,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use meridian_delegate::{Congestion, HubConfig, LinkConfig, NodeConfig, NodeName};
use meridian_home::Home;
use meridian_runtime::TaskGroup;

use super::path::Path;
use crate::{
    pki::{Existing, Folder, NODE_DAYS, NodeFiles, Right, Subject},
    wire::Way,
};

/// Coded log that a region keeps: as a node's default.
const WINDOW_BYTES: usize = 64 << 20;

/// Any free port of this machine alone.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Makes the links of regions.
pub(super) struct Links {
    folder: Folder,
    tasks: TaskGroup,
}

impl Links {
    /// Founds an authority in `dir`.
    pub(super) fn found(dir: &FilePath, tasks: TaskGroup) -> Result<Self> {
        let folder = Folder::found(&dir.join("pki"), Existing::Replace)?;
        Ok(Self { folder, tasks })
    }

    /// The hub of the region beside `home`.
    pub(super) fn hub(&self, region: &str, home: Arc<dyn Home>) -> Result<Way> {
        let (me, link) = self.identity(region, Right::Hub)?;
        let config = HubConfig {
            me,
            listen: ANY_PORT,
            link,
            window_bytes: WINDOW_BYTES,
        };
        Way::hub(config, home, &self.tasks).context("start the hub")
    }

    /// A region that is `round_trip` away from `hub`.
    pub(super) async fn region(
        &self,
        region: &str,
        hub: &Way,
        round_trip: Duration,
    ) -> Result<Way> {
        let Way::Hub(hub, _) = hub else {
            anyhow::bail!("only a hub can be linked to");
        };
        let (me, link) = self.identity(region, Right::Node)?;
        let path = Path::open(hub.local_addr(), round_trip / 2, &self.tasks);
        let path = path.await.context("open the emulated path")?;
        let config = NodeConfig {
            me,
            hubs: vec![path.address().to_string()],
            listen: ANY_PORT,
            advertise: None,
            link,
            window_bytes: WINDOW_BYTES,
        };
        Way::linked(config, &self.tasks).context("start the link")
    }

    fn identity(&self, region: &str, right: Right) -> Result<(NodeName, LinkConfig)> {
        let node = NodeName {
            region: region.to_owned(),
            name: format!("dev-{region}"),
        };
        let subject = Subject {
            node: node.clone(),
            right,
            days: NODE_DAYS,
        };
        let NodeFiles { ca, cert, key } = self.folder.issue(&subject, Existing::Replace)?;
        let link = LinkConfig {
            ca,
            cert,
            key,
            window_bytes: meridian_delegate::link::WINDOW_BYTES,
            congestion: Congestion::Cubic,
        };
        Ok((node, link))
    }
}
