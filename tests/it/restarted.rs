//! A gateway killed and started again, as its clients live through it: they resume, and nothing is lost, told
//! twice or kept alive that nobody kept alive.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::{
    etcdserverpb::{
        LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseTimeToLiveRequest, PutRequest,
        WatchCreateRequest,
    },
    mvccpb::Event,
};
use meridian_tests::{
    ask,
    client::Client,
    conversation::Conversation,
    expect,
    wait::{SOON, eventually},
    watching::{self, Watching},
};

use crate::region::Region;

type KeepAlive = Conversation<LeaseKeepAliveRequest, LeaseKeepAliveResponse>;

fn keep_alive(client: &Client) -> KeepAlive {
    client.converse("/etcdserverpb.Lease/LeaseKeepAlive")
}

async fn renewed(stream: &mut KeepAlive, id: i64) -> Result<i64> {
    stream.send(LeaseKeepAliveRequest { id });
    Ok(stream.next().await?.ttl)
}

async fn renewed_on(mut stream: KeepAlive, id: i64) -> Result<(KeepAlive, i64)> {
    let ttl = renewed(&mut stream, id).await?;
    Ok((stream, ttl))
}

#[tokio::test]
async fn a_lease_is_kept_alive_across_a_restart() -> Result<()> {
    let mut region = Region::start("").await?;
    let client = region.gateway.connect()?;
    // Four seconds: without the second stream it dies within the test.
    let id = client.lease_grant(ask::lease(4)).await?.id;
    let tied = PutRequest {
        lease: id,
        ..ask::put("tied", "v")
    };
    client.put(tied).await?;
    let mut stream = keep_alive(&client);
    expect::same("ttl", renewed(&mut stream, id).await?, 4)?;
    region.gateway.restart()?;
    // clientv3 opens a new stream on an error like this one.
    stream.send(LeaseKeepAliveRequest { id });
    ensure!(stream.next().await.is_err(), "a dead gateway answered");
    let client = region.gateway.connect()?;
    let (home, mut kept) = (region.home()?, None);
    // For longer than its TTL.
    for _ in 0..6 {
        let lookup = LeaseTimeToLiveRequest { id, keys: false };
        let again = eventually(SOON, "the lease is renewed", || {
            let stream = kept.take().unwrap_or_else(|| keep_alive(&client));
            renewed_on(stream, id)
        })
        .await?;
        expect::same("ttl", again.1, 4)?;
        kept = Some(again.0);
        let left = home.lease_time_to_live(lookup).await?.ttl;
        ensure!(left >= 3, "just renewed, and {left} s are left at the home");
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    expect::same("tied keys", client.range(ask::get("tied")).await?.count, 1)?;
    // Nobody keeps it any more: neither does the gateway, although its stream to the home lives on.
    drop(kept);
    eventually(SOON, "the lease dies", || async {
        ensure!(home.range(ask::get("tied")).await?.count == 0, "it lives");
        anyhow::Ok(())
    })
    .await
}

fn revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

/// Takes events until one of `last`, beginning anew where it was when the stream breaks, as clients do.
async fn follow(url: String, first: i64, last: i64) -> Result<(Vec<Event>, usize)> {
    let (mut events, mut breaks) = (Vec::<Event>::new(), 0);
    while events.last().map_or(0, revision) < last {
        let request = WatchCreateRequest {
            start_revision: events.last().map_or(first, |event| revision(event) + 1),
            prev_kv: true,
            ..watching::of_prefix(&"k".into())
        };
        let client = Client::connect(&url)?;
        let Ok((mut watching, _)) = Watching::start(&client, request).await else {
            continue;
        };
        while let Ok(answer) = watching.next().await {
            ensure!(!answer.canceled, "cancelled: {answer:?}");
            events.extend(answer.events);
            if events.last().map_or(0, revision) >= last {
                return Ok((events, breaks));
            }
        }
        breaks += 1;
    }
    Ok((events, breaks))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_watch_has_no_gap_and_no_duplicate() -> Result<()> {
    const WRITES: i64 = 600;
    let mut region = Region::start("history_revisions = 100").await?;
    let home = region.home()?;
    let put = home.put(ask::put("before", "")).await?;
    let first = expect::revision(put.header.as_ref())? + 1;
    let last = first + WRITES - 1;
    let mut followers = Vec::new();
    for _ in 0..4 {
        followers.push(tokio::spawn(follow(region.gateway.endpoint(), first, last)));
    }
    for n in 0..WRITES {
        // Put again and again, so that prev_kv tells of the event before.
        home.put(ask::put(format!("k{}", n % 7), n.to_string()))
            .await?;
        if n % 200 == 100 {
            region.gateway.restart()?;
        }
    }
    region.gateway.ready().await?;
    let mut breaks = 0;
    for follower in followers {
        let (events, broken) = follower.await??;
        breaks += broken;
        let seen: Vec<i64> = events.iter().map(revision).collect();
        expect::same("revisions", seen, (first..=last).collect::<Vec<_>>())?;
        for (n, event) in events.iter().enumerate() {
            let before = event.prev_kv.as_ref().map(|kv| kv.mod_revision);
            let wanted = n.checked_sub(7).map(|n| revision(&events[n]));
            expect::same("prev_kv", before, wanted)?;
        }
    }
    ensure!(breaks > 0, "no stream broke: this proves nothing");
    Ok(())
}

#[tokio::test]
async fn a_restarted_gateway_shows_nothing_older_than_it_did() -> Result<()> {
    let mut region = Region::start("").await?;
    let client = region.gateway.connect()?;
    let mut shown = 0;
    for round in 0..3 {
        let put = client.put(ask::put("k", round.to_string())).await?;
        shown = shown.max(expect::revision(put.header.as_ref())?);
        region.gateway.restart()?;
        let local = eventually(SOON, "it serves again", || {
            client.range(crate::region::local("k"))
        });
        let answer = local.await?;
        let revision = expect::revision(answer.header.as_ref())?;
        ensure!(revision >= shown, "revision {revision} after {shown}");
        let kv = answer.kvs.first().context("the key is gone")?;
        expect::same("value", &kv.value[..], round.to_string().as_bytes())?;
    }
    Ok(())
}
