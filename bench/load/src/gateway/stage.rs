//! What the sections share: options, binaries, the folder, the small cluster, and one round of a closed or open loop.

use std::{
    collections::BTreeMap,
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use super::{
    Name, Options, Scale,
    scale::{CONNECTIONS, IN_FLIGHT, KEY_BYTES, VALUE_BYTES},
    series::{Sample, Series},
    target::{Target, sample, spent},
};
use crate::{
    connection::Endpoint,
    drive::{Loop, Session},
    fill::{fill, rest},
    fleet::{Binaries, cluster::Cluster, servers, servers::Front},
    process::ProcessId,
    shape::Shape,
    tell,
    workload::Operation,
};

/// For a gateway to copy the small data set, a round trip of 80 ms included.
const GATEWAY_READY: Duration = Duration::from_secs(60);

/// What stands before the small cluster.
#[derive(Debug)]
pub(super) struct Fronts {
    pub(super) cluster: Cluster,
    pub(super) proxy: Option<Front>,
    pub(super) gateway: Option<Front>,
}

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) options: Options,
    pub(super) scale: Scale,
    pub(super) bins: Binaries,
    pub(super) series: Vec<Series>,
    fronts: Option<Fronts>,
    start: Instant,
    // Last, so that servers end before their folder goes.
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) fn new(options: &Options, bins: Binaries, start: Instant) -> anyhow::Result<Self> {
        let mut scale = if options.quick {
            Scale::QUICK
        } else {
            Scale::FULL
        };
        scale.rounds = options.rounds.unwrap_or(scale.rounds).max(1);
        let mut named = tempfile::Builder::new();
        named.prefix("meridian-bench-");
        let folder = match &options.dir {
            Some(dir) => named.tempdir_in(dir),
            None => named.tempdir(),
        };
        let folder = folder.context("make a folder for the data: give another with --dir")?;
        let (options, series) = (options.clone(), Vec::new());
        Ok(Self {
            options,
            scale,
            bins,
            series,
            fronts: None,
            start,
            folder,
        })
    }

    pub(super) fn say(&self, line: impl Display) {
        tell::progress(self.start, line);
    }

    pub(super) fn has(&self, name: Name) -> bool {
        self.options.targets.contains(&name)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn shape(&self) -> anyhow::Result<Shape> {
        Ok(Shape::new(self.scale.keys, KEY_BYTES, VALUE_BYTES)?)
    }

    /// A new cluster in a folder of its own, filled.
    pub(super) async fn filled_cluster(
        &self,
        name: &str,
        shape: &Shape,
    ) -> anyhow::Result<Cluster> {
        // Never a folder twice: a member that finds another cluster's data waits for its peers for ever.
        let folder = tempfile::Builder::new()
            .prefix(name)
            .tempdir_in(self.folder())?
            .keep();
        let cluster = Cluster::start(&self.bins.etcd, &folder).await?;
        let say = |keys| self.say(format_args!("fill: {keys} of {} keys", shape.keys));
        fill(&cluster.leader().endpoint(), shape, &say).await?;
        rest(&cluster.leader().endpoint()).await?;
        Ok(cluster)
    }

    /// The small cluster and what stands before it, started by the first section that needs them.
    pub(super) async fn start_fronts(&mut self) -> anyhow::Result<()> {
        if self.fronts.is_none() {
            let cluster = self.filled_cluster("small", &self.shape()?).await?;
            let home = loopback(cluster.leader().port());
            let proxy = match self.has(Name::Proxy) {
                true => Some(servers::proxy(&self.bins, home, self.folder()).await?),
                false => None,
            };
            let gateway = match self.has(Name::Gateway) {
                true => Some(self.gateway(home).await?),
                false => None,
            };
            self.fronts = Some(Fronts {
                cluster,
                proxy,
                gateway,
            });
        }
        Ok(())
    }

    /// The small cluster and what stands before it, once started.
    pub(super) fn fronts(&self) -> anyhow::Result<&Fronts> {
        self.fronts
            .as_ref()
            .context("a section that did not start its servers")
    }

    /// Why a server of the small cluster, or before it, runs no more: the cause behind a failed section.
    pub(super) fn ended(&mut self) -> Option<String> {
        let Fronts {
            cluster,
            proxy,
            gateway,
        } = self.fronts.as_mut()?;
        let mut fronts = proxy.iter_mut().chain(gateway);
        cluster.ended().or_else(|| fronts.find_map(Front::ended))
    }

    /// Tells one round.
    pub(super) fn say_sample(&self, metric: &str, round: usize, target: &Target, sample: &Sample) {
        let (name, latency) = (target.name.text(), sample.latency);
        self.say(format_args!(
            "{metric} {round}/{}: {name:10} {:8.0}/s · p50 {:6.0} p99 {:6.0} µs · CPU {:6.2} µs",
            self.scale.rounds, sample.ops_per_second, latency.p50_us, latency.p99_us, sample.cpu_us,
        ));
    }

    /// Ends the small cluster, to leave the machine to another.
    pub(super) fn end_fronts(&mut self) {
        self.fronts = None;
    }

    pub(super) async fn gateway(&self, home: SocketAddr) -> anyhow::Result<Front> {
        let gateway = servers::gateway(&self.bins, home, self.folder(), GATEWAY_READY).await?;
        self.say(format_args!(
            "gateway ready after {:.2?}",
            gateway.started_in()
        ));
        Ok(gateway)
    }

    /// One round: warm-up, then the measurement.
    pub(super) async fn round(
        &self,
        target: &Target,
        cluster: &Cluster,
        operation: Operation,
        how: Loop,
    ) -> anyhow::Result<Sample> {
        let in_flight = match how {
            Loop::Closed { in_flight } => in_flight,
            Loop::Open {
                rate: _,
                in_flight_max: _,
            } => IN_FLIGHT,
        };
        let endpoint = [target.endpoint.clone()];
        let shape = self.shape()?;
        let opened = Session::open(&endpoint, CONNECTIONS, operation, &shape, in_flight).await;
        let mut session = opened?;
        session
            .run(how, self.scale.warmup)
            .await
            .context("warm up")?;
        let before = spent(target, cluster)?;
        let outcome = session.run(how, self.scale.duration).await?;
        let after = spent(target, cluster)?;
        ensure!(
            outcome.failed() * 100 <= outcome.ops,
            "{} of {} operations at {} failed: {}",
            outcome.failed(),
            outcome.ops + outcome.failed(),
            target.name.text(),
            outcome.first_error.unwrap_or_default(),
        );
        let mut sample = sample(target, outcome.ops, outcome.seconds, before, after)?;
        (sample.latency, sample.failed) = (outcome.latency, outcome.failed());
        Ok(sample)
    }

    /// Bytes of one answer, gRPC's five included, for the echo to match.
    pub(super) async fn answer_bytes(
        &self,
        endpoint: &Endpoint,
        operation: Operation,
    ) -> anyhow::Result<usize> {
        let shape = self.shape()?;
        let mut session =
            Session::open(std::slice::from_ref(endpoint), 1, operation, &shape, 4).await?;
        let how = Loop::Closed { in_flight: 4 };
        let outcome = session.run(how, Duration::from_millis(200)).await?;
        Ok(outcome.bytes_per_op.round() as usize)
    }
}

/// A loopback address.
pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// First lines of `--version`, of those that run.
pub(super) fn versions(bins: &Binaries, options: &Options, into: &mut BTreeMap<String, String>) {
    let asked = [(Name::Etcd, &bins.etcd), (Name::Gateway, &bins.meridian)];
    for (name, path) in asked
        .into_iter()
        .filter(|(name, _)| options.targets.contains(name))
    {
        let output = Command::new(path).arg("--version").output();
        let first = output
            .ok()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let first = first.and_then(|text| text.lines().next().map(str::to_owned));
        into.insert(
            name.text().to_owned(),
            first.unwrap_or_else(|| "does not run".to_owned()),
        );
    }
    into.insert("bench".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
}

impl Fronts {
    /// Those of the fronts that are up, with `member` as etcd's.
    pub(super) fn targets(&self, options: &Options, etcd: (Endpoint, ProcessId)) -> Vec<Target> {
        let front = |name, front: &Front| Target {
            name,
            endpoint: front.endpoint().clone(),
            id: front.id(),
        };
        let mut targets = Vec::with_capacity(4);
        if options.targets.contains(&Name::Etcd) {
            targets.push(Target {
                name: Name::Etcd,
                endpoint: etcd.0,
                id: etcd.1,
            });
        }
        targets.extend(self.proxy.as_ref().map(|proxy| front(Name::Proxy, proxy)));
        targets.extend(
            self.gateway
                .as_ref()
                .map(|gateway| front(Name::Gateway, gateway)),
        );
        targets
    }
}
