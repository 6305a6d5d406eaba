//! A remote region: one etcd, one bad network, one gateway behind it.

use std::time::Duration;

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::RangeRequest;
use meridian_tests::{
    ask,
    client::Client,
    cluster::Cluster,
    gateway::{Gateway, GatewayPlan},
    release::Release,
    wan::Wan,
};

/// Everything of one region, and a client of either end.
pub(crate) struct Region {
    pub(crate) gateway: Gateway,
    pub(crate) wan: Wan,
    pub(crate) cluster: Cluster,
}

impl Region {
    /// A region whose gateway is ready.
    pub(crate) async fn start(replica: &str) -> Result<Self> {
        let cluster = Cluster::single(Release::newest()?).await?;
        let wan = Wan::start(cluster.address(0)).await?;
        let gateway = Gateway::start(&plan(&wan, replica)).await?;
        Ok(Self {
            gateway,
            wan,
            cluster,
        })
    }

    pub(crate) fn home(&self) -> Result<Client> {
        Client::connect(&self.cluster.endpoint(0))
    }
}

pub(crate) fn plan(wan: &Wan, replica: &str) -> GatewayPlan {
    GatewayPlan {
        replica: replica.to_owned(),
        ..GatewayPlan::before(vec![wan.endpoint()])
    }
}

/// A read that needs no network beyond the gateway.
pub(crate) fn local(key: &str) -> RangeRequest {
    RangeRequest {
        serializable: true,
        ..ask::get(key.to_owned())
    }
}

/// Above every deadline of ours for one call.
pub(crate) const BOUNDED: Duration = Duration::from_secs(14);
