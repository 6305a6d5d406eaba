//! What kube-apiserver does, call by call, as it does it.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::{
    CompactionRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, StatusRequest,
    TxnRequest, WatchCreateRequest,
    compare::{CompareResult, TargetUnion},
    response_op::Response,
};
use meridian_tests::{
    ask, cases, client::Client, expect, suite::Scene, watching, watching::Watching,
};

cases!("kubernetes";
    Alone: create_fails_on_an_existing_object, an_update_that_lost_gets_the_object, a_delete_that_lost_gets_the_object,
        lists_go_in_pages_at_one_revision, the_current_revision_is_a_cheap_read, counting_is_a_count,
        a_watch_goes_on_from_the_list, progress_reaches_a_write_elsewhere, the_compactor_is_elected_by_a_txn,
        the_health_check_reads_a_missing_key, events_live_on_leases, status_answers;
);

/// The one Txn that all writes of kube-apiserver are.
fn optimistic(
    key: &Bytes,
    seen: i64,
    op: RequestOp,
    get_on_failure: Option<RequestOp>,
) -> TxnRequest {
    ask::when(
        vec![ask::unchanged_since(key.clone(), seen)],
        vec![op],
        get_on_failure.into_iter().collect(),
    )
}

async fn create(client: &Client, key: &Bytes, value: &'static str) -> Result<i64> {
    let answer = client
        .txn(optimistic(key, 0, ask::op_put(key.clone(), value), None))
        .await?;
    ensure!(answer.succeeded, "it exists");
    expect::revision(answer.header.as_ref())
}

fn found_instead(answer: meridian_etcd_api::etcdserverpb::TxnResponse) -> Result<Vec<Bytes>> {
    ensure!(!answer.succeeded, "it went through");
    match answer
        .responses
        .into_iter()
        .next()
        .and_then(|op| op.response)
        .context("an answer")?
    {
        Response::ResponseRange(range) => Ok(range.kvs.into_iter().map(|kv| kv.value).collect()),
        other => anyhow::bail!("not a range: {other:?}"),
    }
}

async fn create_fails_on_an_existing_object(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("pod"));
    let at = create(&client, &key, "1").await?;
    let again = client
        .txn(optimistic(&key, 0, ask::op_put(key.clone(), "2"), None))
        .await?;
    expect::same(
        "again",
        (again.succeeded, again.responses.len()),
        (false, 0),
    )?;
    expect::same("revision", expect::revision(again.header.as_ref())?, at)
}

async fn an_update_that_lost_gets_the_object(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("pod"));
    let seen = create(&client, &key, "1").await?;
    let get = || Some(ask::op_range(ask::get(key.clone())));
    let won = client
        .txn(optimistic(&key, seen, ask::op_put(key.clone(), "2"), get()))
        .await?;
    expect::same(
        "won",
        (won.succeeded, expect::revision(won.header.as_ref())?),
        (true, seen + 1),
    )?;
    let lost = client
        .txn(optimistic(&key, seen, ask::op_put(key.clone(), "3"), get()))
        .await?;
    expect::same(
        "the object",
        found_instead(lost)?,
        vec![Bytes::from_static(b"2")],
    )
}

async fn a_delete_that_lost_gets_the_object(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("pod"));
    let seen = create(&client, &key, "1").await?;
    let get = || Some(ask::op_range(ask::get(key.clone())));
    let delete = || ask::op_delete(ask::delete(key.clone()));
    let lost = client
        .txn(optimistic(&key, seen - 1, delete(), get()))
        .await?;
    expect::same(
        "the object",
        found_instead(lost)?,
        vec![Bytes::from_static(b"1")],
    )?;
    let won = client.txn(optimistic(&key, seen, delete(), get())).await?;
    expect::same(
        "won",
        (won.succeeded, expect::revision(won.header.as_ref())?),
        (true, seen + 1),
    )
}

async fn lists_go_in_pages_at_one_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for n in 0..25 {
        create(&client, &scene.key(&format!("pod{n:02}")), "v").await?;
    }
    let mut request = RangeRequest {
        limit: 10,
        ..ask::list(&scene.prefix())
    };
    let (mut sizes, mut revision) = (Vec::new(), 0);
    loop {
        let page = client.range(request.clone()).await?;
        if revision == 0 {
            revision = expect::revision(page.header.as_ref())?;
        }
        sizes.push((page.kvs.len(), page.count, page.more));
        let Some(last) = page.kvs.last().filter(|_| page.more) else {
            break;
        };
        request.key = [&last.key[..], b"\0"].concat().into();
        request.revision = revision;
        // The world goes on between the pages.
        client.put(ask::put(scene.key("pod99"), "later")).await?;
    }
    expect::same(
        "pages, what remains, more",
        sizes,
        vec![(10, 25, true), (10, 15, true), (5, 5, false)],
    )
}

async fn the_current_revision_is_a_cheap_read(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let at = create(&client, &scene.key("pod"), "v").await?;
    let answer = client
        .range(RangeRequest {
            limit: 1,
            keys_only: true,
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same("revision", expect::revision(answer.header.as_ref())?, at)
}

async fn counting_is_a_count(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let answer = client
        .range(RangeRequest {
            count_only: true,
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same("count", answer.count, 3)
}

async fn a_watch_goes_on_from_the_list(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let listed = expect::revision(
        client
            .range(ask::list(&scene.prefix()))
            .await?
            .header
            .as_ref(),
    )?;
    client.put(ask::put(scene.key("a"), "2")).await?;
    client.delete(ask::delete(scene.key("b"))).await?;
    let request = WatchCreateRequest {
        start_revision: listed + 1,
        prev_kv: true,
        progress_notify: true,
        ..watching::of_prefix(&scene.prefix())
    };
    let (mut watching, _) = Watching::start(&client.requiring_leader()?, request).await?;
    for event in watching.events(2).await? {
        // It takes an event that is no creation and has no prev_kv for a fault of the server.
        ensure!(event.prev_kv.is_some(), "no prev_kv: {event:?}");
    }
    Ok(())
}

async fn progress_reaches_a_write_elsewhere(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = WatchCreateRequest {
        progress_notify: true,
        prev_kv: true,
        ..watching::of_prefix(&scene.prefix())
    };
    let (mut watching, _) = Watching::start(&client.requiring_leader()?, request).await?;
    let fresh = create(&client, &"/registry-of-others/pod".into(), "v").await;
    let fresh = match fresh {
        Ok(revision) => revision,
        Err(_) => expect::revision(
            client
                .put(ask::put("/registry-of-others/pod", "v"))
                .await?
                .header
                .as_ref(),
        )?,
    };
    // Asked for every 100 ms until it has come far enough; nothing but progress may come.
    loop {
        watching.progress();
        let answer = watching.next().await?;
        expect::same("events", answer.events.len(), 0)?;
        if expect::revision(answer.header.as_ref())? >= fresh {
            return Ok(());
        }
    }
}

async fn the_compactor_is_elected_by_a_txn(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("compact_rev_key"));
    let turn = |version: i64| {
        let condition = ask::compare(
            key.clone(),
            CompareResult::Equal,
            TargetUnion::Version(version),
        );
        let (put, get) = (
            ask::op_put(key.clone(), version.to_string()),
            ask::op_range(ask::get(key.clone())),
        );
        ask::when(vec![condition], vec![put], vec![get])
    };
    let first = client.txn(turn(0)).await?;
    expect::same("the first", first.succeeded, true)?;
    expect::same(
        "the other",
        found_instead(client.txn(turn(0)).await?)?,
        vec![Bytes::from_static(b"0")],
    )?;
    expect::same("its next turn", client.txn(turn(1)).await?.succeeded, true)?;
    let revision = expect::revision(first.header.as_ref())?;
    client
        .compact(CompactionRequest {
            revision,
            physical: false,
        })
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn the_health_check_reads_a_missing_key(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .range(RangeRequest {
            limit: 1,
            ..ask::get("/registry/health")
        })
        .await?;
    expect::same("count", answer.count, 0)
}

async fn events_live_on_leases(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let lease = client
        .lease_grant(LeaseGrantRequest { ttl: 3600, id: 0 })
        .await?
        .id;
    let put = ask::op_put_as(PutRequest {
        lease,
        ..ask::put(scene.key("event"), "v")
    });
    client
        .txn(optimistic(&scene.key("event"), 0, put, None))
        .await?;
    expect::same(
        "lease",
        client.range(ask::get(scene.key("event"))).await?.kvs[0].lease,
        lease,
    )
}

async fn status_answers(scene: Scene) -> Result<()> {
    let status = scene.client()?.status(StatusRequest {}).await?;
    ensure!(!status.version.is_empty(), "no version");
    Ok(())
}
