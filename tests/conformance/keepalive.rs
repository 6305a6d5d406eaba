//! LeaseKeepAlive: one answer per request, in order; what is unknown gets a TTL of 0.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meridian_etcd_api::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseTimeToLiveRequest, ResponseHeader,
};
use meridian_tests::{
    ask, cases, client::Client, conversation::Conversation, expect, suite::Scene, wait,
};
use tonic::Code;

cases!("keepalive";
    Alone: an_answer_per_request_in_order, an_unknown_lease_gets_zero_and_the_stream_stays,
        a_revoked_lease_gets_zero, after_half_close_all_answers_come_and_then_ok,
        answers_are_immediate, many_leases_on_one_stream, the_header_is_filled, the_member_is_that_of_writes,
        half_close_without_requests;
    Shared: a_kept_lease_lives_on, an_unkept_lease_dies_in_its_time, renewing_starts_the_ttl_anew;
);

type KeepAlive = Conversation<LeaseKeepAliveRequest, LeaseKeepAliveResponse>;

fn keep_alive(client: &Client) -> KeepAlive {
    client.converse("/etcdserverpb.Lease/LeaseKeepAlive")
}

async fn grant(client: &Client, ttl: i64) -> Result<i64> {
    Ok(client.lease_grant(ask::lease(ttl)).await?.id)
}

async fn an_answer_per_request_in_order(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (first, second) = (grant(&client, 100).await?, grant(&client, 200).await?);
    let mut stream = keep_alive(&client);
    let order = [
        (first, 100),
        (second, 200),
        (first, 100),
        (first, 100),
        (second, 200),
    ];
    order
        .iter()
        .for_each(|(id, _)| stream.send(LeaseKeepAliveRequest { id: *id }));
    for expected in order {
        let answer = stream.next().await?;
        expect::same("id and ttl", (answer.id, answer.ttl), expected)?;
    }
    Ok(())
}

async fn an_unknown_lease_gets_zero_and_the_stream_stays(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let known = grant(&client, 100).await?;
    let mut stream = keep_alive(&client);
    for (id, ttl) in [(0x2345_6701, 0), (known, 100), (0, 0)] {
        stream.send(LeaseKeepAliveRequest { id });
        let answer = stream.next().await?;
        expect::same("id and ttl", (answer.id, answer.ttl), (id, ttl))?;
    }
    Ok(())
}

async fn a_revoked_lease_gets_zero(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    let mut stream = keep_alive(&client);
    stream.send(LeaseKeepAliveRequest { id });
    expect::same("ttl", stream.next().await?.ttl, 100)?;
    client
        .lease_revoke(meridian_etcd_api::etcdserverpb::LeaseRevokeRequest { id })
        .await?;
    stream.send(LeaseKeepAliveRequest { id });
    expect::same("ttl", stream.next().await?.ttl, 0)
}

async fn after_half_close_all_answers_come_and_then_ok(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    let mut stream = keep_alive(&client);
    (0..3).for_each(|_| stream.send(LeaseKeepAliveRequest { id }));
    stream.half_close();
    for _ in 0..3 {
        expect::same("ttl", stream.next().await?.ttl, 100)?;
    }
    expect::same(
        "end",
        stream.ends(wait::SOON).await?,
        (Code::Ok, String::new()),
    )
}

async fn half_close_without_requests(scene: Scene) -> Result<()> {
    let mut stream = keep_alive(&scene.client()?);
    stream.half_close();
    expect::same(
        "end",
        stream.ends(wait::SOON).await?,
        (Code::Ok, String::new()),
    )
}

async fn answers_are_immediate(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    let mut stream = keep_alive(&client);
    let started = Instant::now();
    for _ in 0..3 {
        stream.send(LeaseKeepAliveRequest { id });
        stream.next().await?;
    }
    // Not paced: a proxy that waits for a tick takes half a second for each.
    ensure!(
        started.elapsed() < Duration::from_millis(750),
        "three took {:?}",
        started.elapsed()
    );
    Ok(())
}

async fn many_leases_on_one_stream(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut leases = Vec::new();
    for n in 0..50 {
        leases.push((grant(&client, 100 + n).await?, 100 + n));
    }
    let mut stream = keep_alive(&client);
    leases
        .iter()
        .for_each(|(id, _)| stream.send(LeaseKeepAliveRequest { id: *id }));
    for expected in leases {
        let answer = stream.next().await?;
        expect::same("id and ttl", (answer.id, answer.ttl), expected)?;
    }
    Ok(())
}

/// The headers of a write and of a renewal right after it.
async fn written_and_renewed(scene: &Scene) -> Result<(ResponseHeader, ResponseHeader)> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    let put = client.put(ask::put(scene.key("k"), "")).await?;
    let mut stream = keep_alive(&client);
    stream.send(LeaseKeepAliveRequest { id });
    let answer = stream.next().await?;
    Ok((
        *expect::header(put.header.as_ref())?,
        *expect::header(answer.header.as_ref())?,
    ))
}

async fn the_header_is_filled(scene: Scene) -> Result<()> {
    let (written, renewed) = written_and_renewed(&scene).await?;
    ensure!(renewed.member_id != 0, "no member id");
    expect::same("cluster", renewed.cluster_id, written.cluster_id)?;
    expect::same("term", renewed.raft_term, written.raft_term)?;
    expect::same("revision", renewed.revision, written.revision)
}

async fn the_member_is_that_of_writes(scene: Scene) -> Result<()> {
    let (written, renewed) = written_and_renewed(&scene).await?;
    ensure!(
        renewed.member_id == written.member_id,
        "another member answers keepalives than writes"
    );
    Ok(())
}

async fn left(client: &Client, id: i64) -> Result<i64> {
    Ok(client
        .lease_time_to_live(LeaseTimeToLiveRequest { id, keys: false })
        .await?
        .ttl)
}

async fn a_kept_lease_lives_on(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 2).await?;
    let mut stream = keep_alive(&client);
    let started = Instant::now();
    // Far beyond its own time, in steps well inside it.
    while started.elapsed() < Duration::from_secs(6) {
        stream.send(LeaseKeepAliveRequest { id });
        ensure!(
            stream.next().await?.ttl > 0,
            "it died after {:?}",
            started.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    Ok(())
}

async fn an_unkept_lease_dies_in_its_time(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 3).await?;
    let started = Instant::now();
    let mut stream = keep_alive(&client);
    stream.send(LeaseKeepAliveRequest { id });
    stream.next().await?;
    // The stream stays open and silent: nobody may go on in the client's name.
    wait::eventually(wait::SOON, "the lease dies", || async {
        match left(&client, id).await {
            Ok(-1) => Ok(()),
            other => Err(format!("{other:?} s are left")),
        }
    })
    .await?;
    let taken = started.elapsed();
    ensure!(taken > Duration::from_secs(2), "it died after {taken:?}");
    ensure!(
        taken < Duration::from_millis(5_500),
        "a lease of 3 s died after {taken:?}"
    );
    Ok(())
}

async fn renewing_starts_the_ttl_anew(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 30).await?;
    wait::eventually(wait::SOON, "time passes", || async {
        match left(&client, id).await {
            Ok(ttl) if ttl <= 27 => Ok(()),
            other => Err(format!("{other:?} s are left")),
        }
    })
    .await?;
    let mut stream = keep_alive(&client);
    stream.send(LeaseKeepAliveRequest { id });
    expect::same("ttl", stream.next().await?.ttl, 30)?;
    let now = left(&client, id).await?;
    ensure!(now >= 28, "{now} s are left after renewing 30");
    Ok(())
}
