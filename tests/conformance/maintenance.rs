//! Maintenance: status, alarms, hashes, snapshot, defragmentation, moving the leader.

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::etcdserverpb::{
    AlarmRequest, AlarmType, DefragmentRequest, HashKvRequest, HashRequest, MoveLeaderRequest,
    SnapshotRequest, SnapshotResponse, StatusRequest, alarm_request::AlarmAction,
};
use meridian_tests::{
    ask, cases,
    client::Client,
    conversation::Conversation,
    expect,
    release::Version,
    suite::Scene,
    target::{Target, Wish},
};
use tonic::Code;

cases!("maintenance";
    Alone: status_tells_a_version_clients_can_read, status_tells_size_leader_and_term, status_carries_the_revision,
        the_version_is_the_homes, no_alarm_is_an_empty_list, hash_answers, hash_kv_is_that_of_the_home,
        hash_kv_of_a_future_revision_is_refused, hash_kv_of_a_compacted_revision_is_refused,
        defragment_leaves_the_keys, a_snapshot_comes_whole, moving_the_leader_to_nobody_is_refused;
    Own: no_space_refuses_puts_and_lets_deletes_through;
);

async fn status_tells_a_version_clients_can_read(scene: Scene) -> Result<()> {
    let status = scene.client()?.status(StatusRequest {}).await?;
    // kube-apiserver asks for progress only of 3.4.31, 3.5.13 or later.
    status
        .version
        .parse::<Version>()
        .with_context(|| format!("version {:?}", status.version))
        .map(drop)
}

async fn the_version_is_the_homes(scene: Scene) -> Result<()> {
    let home = scene
        .target()?
        .connect_home()
        .await?
        .status(StatusRequest {})
        .await?;
    let status = scene.client()?.status(StatusRequest {}).await?;
    expect::same("version", status.version, home.version)
}

async fn status_tells_size_leader_and_term(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "")).await?;
    let status = client.status(StatusRequest {}).await?;
    ensure!(
        status.db_size > 0 && status.db_size_in_use > 0,
        "sizes: {status:?}"
    );
    ensure!(
        status.leader != 0 && status.raft_term != 0 && status.raft_index != 0,
        "raft: {status:?}"
    );
    ensure!(
        !status.is_learner && status.errors.is_empty(),
        "health: {status:?}"
    );
    Ok(())
}

async fn status_carries_the_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let now = expect::revision(
        client
            .put(ask::put(scene.key("k"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    let status = client.status(StatusRequest {}).await?;
    expect::same("revision", expect::revision(status.header.as_ref())?, now)
}

fn alarm(action: AlarmAction, member_id: u64) -> AlarmRequest {
    AlarmRequest {
        action: action.into(),
        member_id,
        alarm: AlarmType::Nospace.into(),
    }
}

async fn no_alarm_is_an_empty_list(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = AlarmRequest {
        action: AlarmAction::Get.into(),
        ..Default::default()
    };
    expect::same("alarms", client.alarm(request).await?.alarms, vec![])?;
    // Taking back what was never raised is no fault.
    expect::same(
        "alarms",
        client
            .alarm(alarm(AlarmAction::Deactivate, 7))
            .await?
            .alarms,
        vec![],
    )
}

async fn no_space_refuses_puts_and_lets_deletes_through(scene: Scene) -> Result<()> {
    let target: Target = scene.fresh(&Wish::default()).await?;
    let client = target.connect()?;
    client.put(ask::put("k", "1")).await?;
    // An alarm names any member; a made-up one is as good.
    client.alarm(alarm(AlarmAction::Activate, 7)).await?;
    let text = "etcdserver: mvcc: database space exceeded";
    expect::refused(
        client.put(ask::put("k", "2")).await,
        Code::ResourceExhausted,
        text,
    )?;
    let txn = ask::all_of(vec![ask::op_put("k", "2")]);
    expect::refused(client.txn(txn).await, Code::ResourceExhausted, text)?;
    expect::refused(
        client.lease_grant(ask::lease(100)).await,
        Code::ResourceExhausted,
        text,
    )?;
    expect::same("read", client.range(ask::get("k")).await?.count, 1)?;
    expect::same("deleted", client.delete(ask::delete("k")).await?.deleted, 1)?;
    let listed = client
        .alarm(AlarmRequest {
            action: AlarmAction::Get.into(),
            ..Default::default()
        })
        .await?
        .alarms;
    expect::same("alarms", listed.len(), 1)?;
    client.alarm(alarm(AlarmAction::Deactivate, 7)).await?;
    client
        .put(ask::put("k", "3"))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn hash_answers(scene: Scene) -> Result<()> {
    let answer = scene.client()?.hash(HashRequest {}).await?;
    ensure!(answer.hash != 0, "a hash of nothing");
    expect::header(answer.header.as_ref()).map(drop)
}

async fn hash_kv_is_that_of_the_home(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let now = expect::revision(
        client
            .put(ask::put(scene.key("k"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    let home = scene.target()?.connect_home().await?;
    let answer = client.hash_kv(HashKvRequest { revision: now }).await?;
    let expected = home.hash_kv(HashKvRequest { revision: now }).await?;
    let found = (answer.hash, answer.compact_revision);
    expect::same(
        "hash and compaction",
        found,
        (expected.hash, expected.compact_revision),
    )
}

async fn hash_kv_of_a_future_revision_is_refused(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .hash_kv(HashKvRequest { revision: i64::MAX })
        .await;
    let text = "etcdserver: mvcc: required revision is a future revision";
    expect::refused(answer, Code::OutOfRange, text)
}

async fn hash_kv_of_a_compacted_revision_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let now = expect::revision(
        client
            .put(ask::put(scene.key("k"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    let compaction = meridian_etcd_api::etcdserverpb::CompactionRequest {
        revision: now,
        physical: true,
    };
    client.compact(compaction).await?;
    let answer = client.hash_kv(HashKvRequest { revision: now - 1 }).await;
    let text = "etcdserver: mvcc: required revision has been compacted";
    expect::refused(answer, Code::OutOfRange, text)
}

async fn defragment_leaves_the_keys(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let before = client.range(ask::list(&scene.prefix())).await?.kvs;
    client.defragment(DefragmentRequest {}).await?;
    expect::same(
        "keys",
        client.range(ask::list(&scene.prefix())).await?.kvs,
        before,
    )
}

async fn a_snapshot_comes_whole(scene: Scene) -> Result<()> {
    let client: Client = scene.client()?;
    let mut stream: Conversation<SnapshotRequest, SnapshotResponse> =
        client.listen("/etcdserverpb.Maintenance/Snapshot", SnapshotRequest {});
    let (mut bytes, mut left, mut last) = (0, None, 0);
    while left != Some(0) || last > 32 {
        let part = stream.next().await?;
        last = part.blob.len();
        bytes += last;
        if let Some(left) = left {
            ensure!(
                part.remaining_bytes <= left,
                "{} remain after {left}",
                part.remaining_bytes
            );
        }
        left = Some(part.remaining_bytes);
    }
    // The last part is the SHA-256 of the rest, which is whole pages.
    expect::same("checksum bytes", bytes % 512, 32)?;
    expect::same(
        "end",
        stream.ends(meridian_tests::wait::SOON).await?.0,
        Code::Ok,
    )
}

async fn moving_the_leader_to_nobody_is_refused(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .move_leader(MoveLeaderRequest { target_id: 0x77 })
        .await;
    expect::refused(
        answer,
        Code::FailedPrecondition,
        "etcdserver: bad leader transferee",
    )
}
