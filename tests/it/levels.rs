//! The four read levels and what they promise with a good network, a slow one and none.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::etcdserverpb::{RangeRequest, RangeResponse};
use meridian_tests::{
    ask,
    client::Client,
    expect,
    wait::{SOON, eventually, within},
    wan::Weather,
};
use tonic::{Code, Response, Status};

use crate::region::{BOUNDED, Region, local};

async fn read(client: &Client, request: RangeRequest) -> Result<Response<RangeResponse>, Status> {
    client.unary("/etcdserverpb.KV/Range", request).await
}

fn told<'a>(answer: &'a Response<RangeResponse>, name: &str) -> Result<&'a str> {
    let value = answer
        .metadata()
        .get(name)
        .with_context(|| format!("no {name} in the answer's metadata"))?;
    Ok(value.to_str()?)
}

#[tokio::test]
async fn an_answer_tells_its_staleness_and_who_served_it() -> Result<()> {
    let region = Region::start("").await?;
    let client = region.gateway.connect()?;
    client.put(ask::put("k", "v")).await?;
    for request in [ask::get("k"), local("k")] {
        let answer = read(&client, request).await?;
        expect::same("served by", told(&answer, "meridian-served-by")?, "local")?;
        let staleness: u64 = told(&answer, "meridian-staleness-ms")?.parse()?;
        ensure!(staleness < 5_000, "{staleness} ms stale beside the home");
    }
    Ok(())
}

#[tokio::test]
async fn linearizable_sees_every_acknowledged_write() -> Result<()> {
    let region = Region::start("").await?;
    region.wan.set(Weather::Delay(Duration::from_millis(15)));
    let (home, client) = (region.home()?, region.gateway.connect()?);
    for n in 0..40 {
        home.put(ask::put("k", n.to_string())).await?;
        let answer = client.range(ask::get("k")).await?;
        expect::same("value", &answer.kvs[0].value[..], n.to_string().as_bytes())?;
    }
    Ok(())
}

#[tokio::test]
async fn session_sees_at_least_its_revision() -> Result<()> {
    let region = Region::start("").await?;
    region.wan.set(Weather::Delay(Duration::from_millis(15)));
    let (home, client) = (region.home()?, region.gateway.connect()?);
    for n in 0..40 {
        let at = expect::revision(
            home.put(ask::put("k", n.to_string()))
                .await?
                .header
                .as_ref(),
        )?;
        let session = client.with("meridian-min-revision", &at.to_string())?;
        for request in [ask::get("k"), local("k")] {
            let answer = session.range(request).await?;
            ensure!(
                expect::revision(answer.header.as_ref())? >= at,
                "behind {at}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_session_in_the_future_is_refused_in_time() -> Result<()> {
    let region = Region::start("").await?;
    let session = region
        .gateway
        .connect()?
        .with("meridian-min-revision", "1000000")?;
    let answer = within(BOUNDED, "an answer", session.range(ask::get("k"))).await?;
    ensure!(answer.is_err(), "answered {answer:?}");
    Ok(())
}

#[tokio::test]
async fn bounded_waits_or_refuses_when_too_stale() -> Result<()> {
    let region = Region::start("").await?;
    let client = region.gateway.connect()?;
    client.put(ask::put("k", "v")).await?;
    let bounded = client.with("meridian-max-staleness", "800ms")?;
    let answer = read(&bounded, ask::get("k")).await?;
    ensure!(
        told(&answer, "meridian-staleness-ms")?.parse::<u64>()? <= 800,
        "too stale"
    );
    region.wan.set(Weather::Blackhole);
    eventually(BOUNDED, "bounded reads are refused", || async {
        match read(&bounded, ask::get("k")).await {
            Ok(answer) => {
                let staleness: u64 = told(&answer, "meridian-staleness-ms")?.parse()?;
                ensure!(staleness <= 800, "answered {staleness} ms stale");
                ensure!(false, "still answered");
                Ok(())
            }
            Err(status) => expect::same("code", status.code(), Code::Unavailable),
        }
    })
    .await?;
    region.wan.set(Weather::Clear);
    eventually(SOON, "bounded reads are answered again", || {
        bounded.range(ask::get("k"))
    })
    .await
    .map(drop)
}

#[tokio::test]
async fn a_nonsense_level_is_refused() -> Result<()> {
    let region = Region::start("").await?;
    let client = region.gateway.connect()?;
    for (name, value) in [
        ("meridian-min-revision", "soon"),
        ("meridian-max-staleness", "never"),
    ] {
        let answer = client.with(name, value)?.range(ask::get("k")).await;
        expect::refused_with(answer, Code::InvalidArgument, |text| text.contains(name))?;
    }
    Ok(())
}

#[tokio::test]
async fn without_the_network_serializable_reads_go_on_and_others_are_refused() -> Result<()> {
    for weather in [Weather::Cut, Weather::Blackhole] {
        let region = Region::start("").await?;
        let client = region.gateway.connect()?;
        client.put(ask::put("k", "v")).await?;
        expect::same("before", client.range(ask::get("k")).await?.count, 1)?;
        region.wan.set(weather);
        let started = Instant::now();
        let (strict, write) =
            tokio::join!(client.range(ask::get("k")), client.put(ask::put("k", "w")));
        ensure!(
            started.elapsed() < BOUNDED,
            "refused only after {:?}",
            started.elapsed()
        );
        expect::refused_with(strict, Code::Unavailable, |_| true)?;
        expect::refused_with(write, Code::Unavailable, |_| true)?;
        for _ in 0..100 {
            let answer = within(
                Duration::from_millis(500),
                "a local read",
                read(&client, local("k")),
            )
            .await??;
            ensure!(answer.get_ref().count == 1, "the key is gone");
            expect::same("served by", told(&answer, "meridian-served-by")?, "local")?;
        }
        region.wan.set(Weather::Clear);
        eventually(SOON, "all is well again", || client.range(ask::get("k"))).await?;
    }
    Ok(())
}
