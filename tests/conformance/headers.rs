//! The header of every answer: whose cluster, which revision, never backwards.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use meridian_etcd_api::etcdserverpb::{
    DefragmentRequest, LeaseLeasesRequest, LeaseTimeToLiveRequest, MemberListRequest, RangeRequest,
    ResponseHeader, StatusRequest,
};
use meridian_tests::{
    ask, cases, client::Client, expect, suite::Scene, watching, watching::Watching,
};

cases!("headers";
    Alone: the_cluster_is_one_and_never_zero, the_member_is_one_per_connection, the_term_is_never_zero_nor_falls,
        reads_carry_the_current_revision, lease_calls_carry_the_current_revision,
        cluster_calls_carry_no_revision, defragment_has_no_header, a_connection_never_goes_back,
        no_change_is_no_revision,
);

/// One header of every kind of call.
async fn of_all_calls(
    scene: &Scene,
    client: &Client,
) -> Result<Vec<(&'static str, ResponseHeader)>> {
    let lease = client.lease_grant(ask::lease(100)).await?;
    let lookup = LeaseTimeToLiveRequest {
        id: lease.id,
        keys: false,
    };
    let (_watching, created) = Watching::start(client, watching::of_key(scene.key("k"))).await?;
    let range = |serializable| {
        client.range(RangeRequest {
            serializable,
            ..ask::get(scene.key("k"))
        })
    };
    let headers = [
        (
            "put",
            client.put(ask::put(scene.key("k"), "")).await?.header,
        ),
        ("range", range(false).await?.header),
        ("serializable range", range(true).await?.header),
        (
            "delete",
            client.delete(ask::delete(scene.key("k"))).await?.header,
        ),
        (
            "txn",
            client
                .txn(ask::all_of(vec![ask::op_put(scene.key("k"), "")]))
                .await?
                .header,
        ),
        (
            "read-only txn",
            client
                .txn(ask::all_of(vec![ask::op_range(ask::get("k"))]))
                .await?
                .header,
        ),
        ("lease grant", lease.header),
        (
            "time to live",
            client.lease_time_to_live(lookup).await?.header,
        ),
        (
            "leases",
            client.lease_leases(LeaseLeasesRequest {}).await?.header,
        ),
        ("watch", created.header),
        (
            "member list",
            client
                .member_list(MemberListRequest::default())
                .await?
                .header,
        ),
        ("status", client.status(StatusRequest {}).await?.header),
    ];
    headers
        .into_iter()
        .map(|(call, header)| Ok((call, *expect::header(header.as_ref())?)))
        .collect()
}

async fn the_cluster_is_one_and_never_zero(scene: Scene) -> Result<()> {
    let mut clusters = BTreeSet::new();
    for _ in 0..2 {
        for (call, header) in of_all_calls(&scene, &scene.client()?).await? {
            ensure!(header.cluster_id != 0, "{call} has no cluster id");
            clusters.insert(header.cluster_id);
        }
    }
    expect::same("cluster ids", clusters.len(), 1)
}

async fn the_member_is_one_per_connection(scene: Scene) -> Result<()> {
    let headers = of_all_calls(&scene, &scene.client()?).await?;
    let members: BTreeSet<u64> = headers.iter().map(|(_, header)| header.member_id).collect();
    ensure!(!members.contains(&0), "a member id of zero: {headers:?}");
    // The count alone, so that a third member does not hide behind a listed second one.
    expect::same("members that answered", members.len(), 1)
}

async fn the_term_is_never_zero_nor_falls(scene: Scene) -> Result<()> {
    let mut term = 1;
    for (call, header) in of_all_calls(&scene, &scene.client()?).await? {
        ensure!(
            header.raft_term >= term,
            "{call}: term {} after {term}",
            header.raft_term
        );
        term = header.raft_term;
    }
    Ok(())
}

async fn reads_carry_the_current_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let old = expect::revision(
        client
            .put(ask::put(scene.key("k"), "1"))
            .await?
            .header
            .as_ref(),
    )?;
    let new = expect::revision(
        client
            .put(ask::put(scene.key("k"), "2"))
            .await?
            .header
            .as_ref(),
    )?;
    let answer = client
        .range(RangeRequest {
            revision: old,
            ..ask::get(scene.key("k"))
        })
        .await?;
    expect::same("revision", expect::revision(answer.header.as_ref())?, new)
}

async fn lease_calls_carry_the_current_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let now = expect::revision(
        client
            .put(ask::put(scene.key("k"), "1"))
            .await?
            .header
            .as_ref(),
    )?;
    let lease = client.lease_grant(ask::lease(100)).await?;
    expect::same("grant", expect::revision(lease.header.as_ref())?, now)?;
    let lookup = LeaseTimeToLiveRequest {
        id: lease.id,
        keys: false,
    };
    let found = client.lease_time_to_live(lookup).await?;
    expect::same(
        "time to live",
        expect::revision(found.header.as_ref())?,
        now,
    )
}

async fn cluster_calls_carry_no_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for linearizable in [false, true] {
        let answer = client
            .member_list(MemberListRequest { linearizable })
            .await?;
        expect::same("revision", expect::revision(answer.header.as_ref())?, 0)?;
    }
    Ok(())
}

async fn defragment_has_no_header(scene: Scene) -> Result<()> {
    expect::same(
        "header",
        scene
            .client()?
            .defragment(DefragmentRequest {})
            .await?
            .header,
        None,
    )
}

async fn a_connection_never_goes_back(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let writer = scene.client()?;
    let mut shown = 0;
    for n in 0..60 {
        let answer = if n % 3 == 0 {
            client.put(ask::put(scene.key("k"), "")).await?.header
        } else {
            // Somebody else's writes as well, and reads at every level.
            writer.put(ask::put(scene.key("k"), "")).await?;
            client
                .range(RangeRequest {
                    serializable: n % 3 == 1,
                    ..ask::get(scene.key("k"))
                })
                .await?
                .header
        };
        let revision = expect::revision(answer.as_ref())?;
        ensure!(
            revision >= shown,
            "revision {revision} after {shown} on one connection"
        );
        shown = revision;
    }
    Ok(())
}

async fn no_change_is_no_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let before = expect::revision(
        client
            .put(ask::put(scene.key("k"), "1"))
            .await?
            .header
            .as_ref(),
    )?;
    let lease = client.lease_grant(ask::lease(100)).await?.id;
    client.delete(ask::delete(scene.key("missing"))).await?;
    client
        .lease_revoke(meridian_etcd_api::etcdserverpb::LeaseRevokeRequest { id: lease })
        .await?;
    let put = ask::op_put(scene.key("k"), "");
    client
        .txn(ask::when(
            vec![ask::unchanged_since(scene.key("k"), 1)],
            vec![put],
            vec![],
        ))
        .await?;
    let compaction = meridian_etcd_api::etcdserverpb::CompactionRequest {
        revision: before,
        physical: false,
    };
    client.compact(compaction).await?;
    let after = expect::revision(
        client
            .put(ask::put(scene.key("k"), "2"))
            .await?
            .header
            .as_ref(),
    )?;
    expect::same("revision of the next change", after, before + 1)
}
