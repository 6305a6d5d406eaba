//! Comparing the replica of a node with the home, key by key.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use meridian_etcd_api::{
    etcdserverpb::{RangeRequest, RangeResponse},
    mvccpb::KeyValue,
};

use super::Regions;
use crate::{client::Client, expect, wait::SOON};

/// Every node holds what the home holds: value, create and mod revision, version and lease of every key.
/// Nothing may be written meanwhile. Gives the number of keys and the revision.
///
/// # Errors
/// The first difference.
pub async fn compare_replicas(regions: &Regions, deadline: Duration) -> Result<(usize, i64)> {
    let home = regions.home()?;
    let truth = all(&home, RangeRequest::default()).await?;
    let revision = expect::revision(truth.header.as_ref())?;
    for (n, node) in regions.nodes.iter().enumerate() {
        regions.reaches(n, revision, deadline.max(SOON)).await?;
        let local = RangeRequest {
            serializable: true,
            ..Default::default()
        };
        let replica = all(&node.connect()?, local).await?;
        let at = expect::revision(replica.header.as_ref())?;
        ensure!(
            at == revision,
            "{} is at {at}, not {revision}",
            node.machine.name
        );
        same(&replica.kvs, &truth.kvs).with_context(|| node.machine.name.clone())?;
    }
    Ok((truth.kvs.len(), revision))
}

async fn all(client: &Client, request: RangeRequest) -> Result<RangeResponse> {
    // From the first key to the last.
    let request = RangeRequest {
        key: vec![0].into(),
        range_end: vec![0].into(),
        ..request
    };
    Ok(client.range(request).await?)
}

fn same(replica: &[KeyValue], truth: &[KeyValue]) -> Result<()> {
    for (ours, theirs) in replica.iter().zip(truth) {
        if ours != theirs {
            bail!("it holds {}, the home {}", shown(ours), shown(theirs));
        }
    }
    expect::same("keys", replica.len(), truth.len())
}

fn shown(kv: &KeyValue) -> String {
    format!(
        "{:?} created {} modified {} version {} lease {} of {} bytes",
        kv.key,
        kv.create_revision,
        kv.mod_revision,
        kv.version,
        kv.lease,
        kv.value.len()
    )
}
