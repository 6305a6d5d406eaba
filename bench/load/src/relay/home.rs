//! The home: one etcd member without fsync, and the writer beside it.
//!
//! What is compared is how the log leaves the home, so the home is made as quick as it can be: a disk that
//! stalls would be in everybody's latency. It knows nothing of who watches.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use meridian_etcd_api::etcdserverpb::{PutRequest, PutResponse};
use meridian_tests::ports;
use tokio::{task::JoinSet, time::timeout};

use super::{
    objects::{Objects, PREFIX},
    timeline::Timeline,
};
use crate::{
    connection::{CallFailed, Caller, Connection, Endpoint, frame},
    fleet::process::Server,
    pacer::Pacer,
    process::ProcessId,
};

/// For one member to lead itself.
const READY: Duration = Duration::from_secs(30);
/// For a put to be acknowledged.
const DEADLINE: Duration = Duration::from_secs(10);
/// Puts in flight at a fixed rate; more is a home that cannot keep up.
const IN_FLIGHT_MAX: usize = 256;
/// Room for all revisions of a run.
const QUOTA: &str = "--quota-backend-bytes=8589934592";
/// The chances of what is written.
const SEED: u64 = 11_357;

/// The home and its writer.
#[derive(Debug)]
pub(super) struct Home {
    server: Server,
    client: SocketAddr,
    connection: Connection,
    objects: Objects,
}

/// What was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// The last revision before.
    pub(super) from: i64,
    /// The last revision.
    pub(super) to: i64,
    /// How long it took.
    pub(super) seconds: f64,
}

impl Written {
    /// How many revisions.
    pub(super) fn revisions(&self) -> f64 {
        (self.to - self.from).max(1) as f64
    }
}

impl Home {
    pub(super) async fn start(etcd: &Path, folder: &Path, objects: usize) -> anyhow::Result<Self> {
        let [client, peer] = ports::free::<2>()?;
        let [client_url, peer_url] = [client, peer].map(|at| format!("http://{at}"));
        let mut command = Command::new(etcd);
        command
            .arg("--data-dir")
            .arg(folder.join("home"))
            .args(["--listen-client-urls", &client_url])
            .args(["--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url])
            .args(["--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .args(["--unsafe-no-fsync", "--log-level", "warn", QUOTA]);
        let mut server = Server::start("home", folder, &mut command)?;
        let endpoint = Endpoint::loopback(client.port());
        let mut connection = None;
        let puts = async || {
            let Ok(opened) = Connection::open(&endpoint).await else {
                return false;
            };
            let probe = probe();
            let first = opened.ask::<PutResponse>("etcdserverpb.KV/Put", &probe);
            let leads = first.await.is_ok();
            connection = leads.then_some(opened);
            leads
        };
        server.wait_until(READY, puts).await.context("start etcd")?;
        let mut home = Self {
            server,
            client,
            connection: connection.context("a home that answered")?,
            objects: Objects::new(objects, SEED),
        };
        home.fill(objects * 3).await?;
        Ok(home)
    }

    /// Where its clients connect.
    pub(super) fn client(&self) -> SocketAddr {
        self.client
    }

    /// Its process.
    pub(super) fn id(&self) -> ProcessId {
        self.server.id()
    }

    /// Its revision now.
    pub(super) async fn revision(&self) -> anyhow::Result<i64> {
        let answer: PutResponse = self
            .connection
            .ask("etcdserverpb.KV/Put", &probe())
            .await
            .context("ask the home for its revision")?;
        Ok(answer
            .header
            .context("an answer without a header")?
            .revision)
    }

    /// Writes until most objects stand.
    async fn fill(&mut self, writes: usize) -> anyhow::Result<()> {
        let timeline = Timeline::new(0, 0);
        let mut calls = Calls::new(self.caller(), &timeline);
        for _ in 0..writes {
            calls.at_most(64).await?;
            calls.put(&mut self.objects);
        }
        calls.at_most(0).await
    }

    fn caller(&self) -> Caller {
        self.connection.caller("etcdserverpb.KV/Put")
    }

    /// Writes `rate` revisions a second for `duration`.
    pub(super) async fn paced(
        &mut self,
        timeline: &Timeline,
        rate: f64,
        duration: Duration,
    ) -> anyhow::Result<Written> {
        let from = self.revision().await?;
        let (start, mut issued) = (Instant::now(), 0);
        let mut pacer = Pacer::start(rate, duration);
        let mut calls = Calls::new(self.caller(), timeline);
        while let Some(due) = pacer.due_beyond(issued).await {
            while issued < due {
                calls.at_most(IN_FLIGHT_MAX - 1).await?;
                calls.put(&mut self.objects);
                issued += 1;
            }
            calls.settle()?;
        }
        calls.at_most(0).await?;
        Ok(Written {
            from,
            to: timeline.committed().highest().max(from),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Writes as fast as the home takes it, `in_flight` at a time.
    pub(super) async fn burst(
        &mut self,
        timeline: &Timeline,
        in_flight: usize,
        duration: Duration,
    ) -> anyhow::Result<Written> {
        let from = self.revision().await?;
        let start = Instant::now();
        let mut calls = Calls::new(self.caller(), timeline);
        while start.elapsed() < duration {
            calls.at_most(in_flight - 1).await?;
            calls.put(&mut self.objects);
        }
        calls.at_most(0).await?;
        Ok(Written {
            from,
            to: timeline.committed().highest().max(from),
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// A write that tells the revision: no answer to a read has it without a message more.
fn probe() -> PutRequest {
    PutRequest {
        key: format!("{PREFIX}probe").into(),
        ..PutRequest::default()
    }
}

/// Puts in flight.
struct Calls<'t> {
    caller: Caller,
    timeline: &'t Timeline,
    flying: JoinSet<Result<(), CallFailed>>,
}

impl<'t> Calls<'t> {
    fn new(caller: Caller, timeline: &'t Timeline) -> Self {
        Self {
            caller,
            timeline,
            flying: JoinSet::new(),
        }
    }

    fn put(&mut self, objects: &mut Objects) {
        let (key, value) = objects.write();
        let request = frame(&PutRequest {
            key: key.into(),
            value: value.into(),
            ..PutRequest::default()
        });
        let (mut caller, committed) = (self.caller.clone(), Arc::clone(self.timeline.committed()));
        self.flying.spawn(async move {
            let answer: PutResponse = caller.call_for(request).await?;
            if let Some(header) = answer.header {
                committed.saw(header.revision);
            }
            Ok(())
        });
    }

    /// Waits until no more than `count` are in flight; the first refusal is an error.
    async fn at_most(&mut self, count: usize) -> anyhow::Result<()> {
        while self.flying.len() > count {
            let joined = timeout(DEADLINE, self.flying.join_next());
            let joined = joined.await.context("a put takes too long")?;
            joined.context("no put in flight")???;
        }
        Ok(())
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        while let Some(joined) = self.flying.try_join_next() {
            joined??;
        }
        Ok(())
    }
}
