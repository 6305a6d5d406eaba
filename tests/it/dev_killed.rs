//! `meridian dev` killed at random moments under concurrent writes: what was acknowledged is there, as it was
//! told, and nothing that nobody asked for.
//!
//! Method: writers put keys of their own through both regions and keep what they were answered; the process is
//! killed with SIGKILL in the middle, started again on the same folder, and everything is read back. The folder
//! goes through all rounds. `MERIDIAN_SEED` decides the moments.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::{etcdserverpb::PutRequest, mvccpb::KeyValue};
use meridian_tests::{
    ask,
    campaign::Campaign,
    client::Client,
    expect,
    gateway::Dev,
    wait::{SOON, eventually},
};

const ROUNDS: u64 = 12;

/// On each of the two regions.
const WRITERS: u64 = 4;

/// Writes that must have been acknowledged before the kill: the disk has had work in every round.
const WRITES_LEAST: u64 = 60;

/// A kill comes within this time after that.
const MOMENT_MS_MAX: u64 = 120;

/// What one writer asked for, and the revision it was told; none if it was told nothing.
type Told = Vec<(String, Option<i64>)>;

fn value(key: &str) -> String {
    format!("value of {key}").repeat(5)
}

async fn write(
    address: SocketAddr,
    name: String,
    lease: i64,
    done: Arc<AtomicU64>,
) -> Result<Told> {
    let client = Client::connect(&format!("http://{address}"))?;
    let mut told = Told::new();
    for n in 0_u64.. {
        let key = format!("k/{name}/{n:05}");
        let put = PutRequest {
            // Some are tied to a lease, which must survive as well.
            lease: if n % 3 == 0 { lease } else { 0 },
            ..ask::put(key.clone(), value(&key))
        };
        match client.put(put).await {
            Ok(answer) => told.push((key, Some(expect::revision(answer.header.as_ref())?))),
            Err(_) => {
                told.push((key, None));
                break;
            }
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
    Ok(told)
}

/// One life of the process: writers at work until it is killed.
async fn live(dev: &mut Dev, round: u64, rng: &mut fastrand::Rng) -> Result<(i64, Told)> {
    let client = Client::connect(&format!("http://{}", dev.us))?;
    let lease = client.lease_grant(ask::lease(900)).await?.id;
    let done = Arc::new(AtomicU64::new(0));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        for (region, address) in [("us", dev.us), ("eu", dev.eu)] {
            let name = format!("{round}/{region}{writer}");
            writers.push(tokio::spawn(write(address, name, lease, done.clone())));
        }
    }
    eventually(SOON, "writes are under way", || async {
        let so_far = done.load(Ordering::SeqCst);
        ensure!(so_far >= WRITES_LEAST, "{so_far} so far");
        anyhow::Ok(())
    })
    .await?;
    // The moment is random on purpose: there is no level to wait for.
    tokio::time::sleep(Duration::from_millis(rng.u64(0..MOMENT_MS_MAX))).await;
    dev.restart()?;
    let mut told = Told::new();
    for writer in writers {
        told.extend(writer.await??);
    }
    Ok((lease, told))
}

/// Everything that is stored, by key.
async fn stored(client: &Client) -> Result<(i64, BTreeMap<String, KeyValue>)> {
    let answer = client.range(ask::list(&"k/".into())).await?;
    let at = expect::revision(answer.header.as_ref())?;
    let by_key = answer.kvs.into_iter().map(|kv| {
        let key = String::from_utf8(kv.key.to_vec()).context("a key of ours")?;
        Ok((key, kv))
    });
    Ok((at, by_key.collect::<Result<_>>()?))
}

fn compare(told: &Told, at: i64, stored: &BTreeMap<String, KeyValue>) -> Result<()> {
    for (key, revision) in told {
        let found = stored.get(key);
        if let Some(revision) = revision {
            let kv = found.with_context(|| format!("{key} was acknowledged and is gone"))?;
            expect::same(key, (kv.mod_revision, kv.version), (*revision, 1))?;
            ensure!(at >= *revision, "the keyspace went back to {at}");
        }
        // What was not answered is there whole or not at all.
        if let Some(kv) = found {
            ensure!(kv.value == value(key).into_bytes(), "{key} is torn: {kv:?}");
        }
    }
    expect::same("keys nobody wrote", stored.len() <= told.len(), true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_no_acknowledged_write() -> Result<()> {
    let seed = Campaign::told().seed;
    println!("MERIDIAN_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut dev = Dev::start(Duration::from_millis(4)).await?;
    let (mut told, mut leases) = (Told::new(), Vec::new());
    for round in 0..ROUNDS {
        let (lease, of_this_life) = live(&mut dev, round, &mut rng).await?;
        told.extend(of_this_life);
        leases.push(lease);
        dev.serves().await?;
        let client = Client::connect(&format!("http://{}", dev.us))?;
        let (at, stored) = stored(&client).await?;
        compare(&told, at, &stored)
            .with_context(|| format!("round {round}, MERIDIAN_SEED={seed}"))?;
        for lease in &leases {
            let tied = stored.values().filter(|kv| kv.lease == *lease).count();
            let lookup = meridian_etcd_api::etcdserverpb::LeaseTimeToLiveRequest {
                id: *lease,
                keys: true,
            };
            let left = client.lease_time_to_live(lookup).await?;
            ensure!(left.ttl > 0, "lease {lease} is gone");
            expect::same("keys of a lease", left.keys.len(), tied)?;
        }
    }
    Ok(())
}
