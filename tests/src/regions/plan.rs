//! How a world should be.

use std::time::Duration;

use anyhow::Result;

use crate::{release::Release, wan::Conditions};

/// What to start.
#[derive(Clone, Debug)]
pub struct RegionsPlan {
    /// Which etcd.
    pub release: &'static Release,
    /// Members of the home's cluster.
    pub members: usize,
    /// Flags of every etcd member.
    pub flags: Vec<String>,
    /// Hubs beside the home.
    pub hubs: usize,
    /// Regions and how many nodes each has.
    pub regions: Vec<(String, usize)>,
    /// The WAN between each node and each hub, each direction.
    pub between: Conditions,
    /// Bytes of every window, if not the default.
    pub window_bytes: Option<u64>,
    /// Lines added to every node's `[gateway.etcd]`.
    pub etcd: String,
    /// Where the WAN's chances come from.
    pub seed: u64,
}

impl RegionsPlan {
    /// One etcd, one hub, these regions, and a WAN of 10 ms.
    ///
    /// # Errors
    /// When no etcd is installed.
    pub fn of(regions: &[(&str, usize)]) -> Result<Self> {
        Ok(Self {
            release: Release::newest()?,
            members: 1,
            flags: Vec::new(),
            hubs: 1,
            regions: regions
                .iter()
                .map(|(name, nodes)| ((*name).to_owned(), *nodes))
                .collect(),
            between: Conditions::half_of(Duration::from_millis(10)),
            window_bytes: None,
            etcd: String::new(),
            seed: 1,
        })
    }

    /// The same with this many hubs.
    #[must_use]
    pub fn hubs(self, hubs: usize) -> Self {
        Self { hubs, ..self }
    }

    /// The same over a WAN like this, each direction.
    #[must_use]
    pub fn over(self, between: Conditions) -> Self {
        Self { between, ..self }
    }

    /// The same with windows of this size.
    #[must_use]
    pub fn window(self, bytes: u64) -> Self {
        Self {
            window_bytes: Some(bytes),
            ..self
        }
    }
}
