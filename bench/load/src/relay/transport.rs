//! The log over QUIC against the log over TCP with TLS, behind the same emulator.
//!
//! One stream of batches as the hub codes them, a revision each, sent as they come. QUIC is the product's own link.
//! QUIC's losses are lost datagrams. A TCP proxy cannot lose a segment: the emulator models what loss does, a round trip
//! of silence for each lost segment and Mathis' bound on the rate, which is what a fast retransmission costs at best.
//! The TCP emulator's timer counts whole milliseconds, so TCP's rows have up to 1 ms of it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use meridian_delegate::{Endpoint, Kind};
use meridian_keyspace::{Commit, LeaseId, Record, Revision, record::Fields};
use meridian_revlog::{Encoder, EncoderConfig, Epoch, FrameReader, GroupId};
use meridian_runtime::{TaskGroup, tls};
use meridian_tests::wan::{Conditions, Load, UdpWan, Wan};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    home::Written,
    objects::Objects,
    region::{Ground, node_name},
    stage::{Background, Stage, ms, seen_by},
    timeline::{Lateness, Timeline, Times},
};
use crate::{
    pacer::Pacer,
    report::{Goal, Report, Row, number},
};

/// Round trips, in milliseconds.
const ROUND_TRIPS: [u64; 3] = [1, 80, 220];
/// Shares of packets that are lost.
const LOSSES: [f64; 3] = [0.0, 0.001, 0.01];
/// Connections stand and windows have grown after this.
const STANDS: Duration = Duration::from_secs(1);
/// To connect.
const CONNECTED: Duration = Duration::from_secs(10);
/// Batches between the encoder and the wire: four seconds.
const BATCHES_MAX: usize = 4_096;
/// What is read at once.
const CHUNK_BYTES: usize = 64 << 10;
const SEED: u64 = 9_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Quic,
    TlsOverTcp,
}

impl Carrier {
    fn name(self) -> &'static str {
        match self {
            Self::Quic => "QUIC",
            Self::TlsOverTcp => "TCP+TLS",
        }
    }
}

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    for round_trip in ROUND_TRIPS {
        for loss in LOSSES {
            // The quick look: the round trip of the other sections, without and with loss.
            if stage.options.quick && (round_trip != 80 || loss == 0.001) {
                continue;
            }
            let weather = Conditions::half_of(Duration::from_millis(round_trip)).losing(loss);
            let where_ = format!("RTT {round_trip} ms, loss {} %", loss * 100.0);
            let quic = carried(stage, Carrier::Quic, weather, &where_).await?;
            let tcp = carried(stage, Carrier::TlsOverTcp, weather, &where_).await?;
            let rows = [
                ("p50", quic.latency.p50_us, tcp.latency.p50_us),
                ("p99", quic.latency.p99_us, tcp.latency.p99_us),
            ];
            for (quantile, quic, tcp) in rows {
                let metric = format!("log over QUIC, {where_}, {quantile}");
                let tcp_name = Carrier::TlsOverTcp.name();
                let peers = [(tcp_name, Some(tcp / 1e3))];
                let ours = Some(quic / 1e3);
                report
                    .rows
                    .push(Row::new(metric, "ms", ours, peers, Goal::Beside(tcp_name)));
            }
        }
    }
    Ok(())
}

async fn carried(
    stage: &mut Stage,
    carrier: Carrier,
    weather: Conditions,
    where_: &str,
) -> anyhow::Result<Lateness> {
    let (rate, duration) = (stage.options.rate, stage.options.duration() / 2);
    let runtime = Background::start()?;
    let timeline = Timeline::new(0, (rate * (STANDS + duration).as_secs_f64() * 1.1) as usize);
    let times = timeline.watcher();
    let (batches, arriving) = mpsc::channel(BATCHES_MAX);
    let mut wire = match carrier {
        Carrier::Quic => Wire::quic(&stage.ground, weather, arriving, &times).await,
        Carrier::TlsOverTcp => Wire::tls(&stage.ground, &runtime, weather, arriving, &times).await,
    }
    .with_context(|| format!("{}, {where_}", carrier.name()))?;
    let mut log = Log::new(stage.options.objects, batches);
    let warm = log.write(&timeline, rate, STANDS).await?;
    seen_by([&times], &warm)
        .await
        .context("the warm-up does not arrive")?;
    let before = wire.load();
    let written = log.write(&timeline, rate, duration).await?;
    seen_by([&times], &written).await;
    let bytes = (wire.load() - before) as f64 / written.revisions();
    wire.ends.abort_all();
    let late = timeline.lateness([&times], &written);
    let told = format!(
        "{}, {} missing, {} B/rev",
        ms(&late.latency),
        late.missing,
        number(bytes)
    );
    stage.note("transport", carrier.name(), where_, told);
    Ok(late)
}

/// The emulator between two ends.
enum Emulator {
    Udp(UdpWan),
    Tcp(Wan),
}

struct Wire {
    emulator: Emulator,
    ends: JoinSet<anyhow::Result<()>>,
    tasks: TaskGroup,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

impl Wire {
    fn load(&self) -> u64 {
        let both = |there: Load, back: Load| there.wire_bytes + back.wire_bytes;
        match &self.emulator {
            Emulator::Udp(wan) => both(wan.there().sent, wan.back().sent),
            Emulator::Tcp(wan) => both(wan.there().sent, wan.back().sent),
        }
    }

    async fn quic(
        ground: &Ground,
        weather: Conditions,
        arriving: mpsc::Receiver<Bytes>,
        times: &Arc<Times>,
    ) -> anyhow::Result<Self> {
        let (tasks, mut ends) = (TaskGroup::root("transport"), JoinSet::new());
        let (hub, node) = (node_name("us", "wire-hub"), node_name("eu", "wire-node"));
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let hub_end = Endpoint::open(Some(listen), &ground.link(&hub, true)?, &hub, &tasks)?;
        let wan = UdpWan::start(hub_end.local_addr()?, SEED)?;
        wan.set(weather);
        ends.spawn(async move {
            let link = hub_end.accept().await.context("no link came")?;
            let (_, mut send, _recv) = link.accept().await.context("no stream came")?;
            let mut arriving = arriving;
            while let Some(mut chunks) = together(&mut arriving).await {
                send.chunks(&mut chunks).await?;
            }
            Ok(())
        });
        let node_end = Endpoint::open(None, &ground.link(&node, false)?, &node, &tasks)?;
        let address = wan.address().to_string();
        let opened = async {
            let link = node_end.connect_hub(&address).await?;
            let (mut send, recv) = link.open(Kind::Log).await?;
            send.open_and_finish().await?;
            anyhow::Ok((link, recv))
        };
        let (link, mut recv) = timeout(CONNECTED, opened).await.context("no link")??;
        let times = Arc::clone(times);
        ends.spawn(async move {
            let (_held, mut frames) = ((node_end, link), FrameReader::new());
            while let Some(chunk) = recv.chunk().await? {
                note(&mut frames, chunk, &times)?;
            }
            Ok(())
        });
        let emulator = Emulator::Udp(wan);
        Ok(Self {
            emulator,
            ends,
            tasks,
        })
    }

    async fn tls(
        ground: &Ground,
        runtime: &Background,
        weather: Conditions,
        arriving: mpsc::Receiver<Bytes>,
        times: &Arc<Times>,
    ) -> anyhow::Result<Self> {
        let (tasks, mut ends) = (TaskGroup::root("transport"), JoinSet::new());
        let hub = ground.link(&node_name("us", "wire-hub"), true)?;
        let node = ground.link(&node_name("eu", "wire-node"), false)?;
        let server = tls::server_config(&hub.cert, &hub.key, Some(&hub.ca))?;
        let identity = tls::Identity {
            cert: node.cert,
            key: node.key,
        };
        let client = tls::client_config(Some(&node.ca), Some(identity))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let wan = runtime
            .runtime()
            .spawn(Wan::start_seeded(listener.local_addr()?, SEED))
            .await??;
        wan.set(weather);
        let acceptor = TlsAcceptor::from(server.current());
        ends.spawn(async move {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let (mut stream, mut arriving) = (acceptor.accept(socket).await?, arriving);
            while let Some(chunks) = together(&mut arriving).await {
                stream.write_all(&chunks.concat()).await?;
                stream.flush().await?;
            }
            Ok(())
        });
        let connector = TlsConnector::from(client.current());
        let opened = async {
            let socket = TcpStream::connect(wan.address()).await?;
            socket.set_nodelay(true)?;
            let name = ServerName::try_from("node.meridian.internal")?;
            anyhow::Ok(connector.connect(name, socket).await?)
        };
        let mut stream = timeout(CONNECTED, opened)
            .await
            .context("no connection")??;
        let times = Arc::clone(times);
        ends.spawn(async move {
            let mut frames = FrameReader::new();
            let mut buffer = vec![0; CHUNK_BYTES];
            loop {
                let length = stream.read(&mut buffer).await?;
                if length == 0 {
                    return Ok(());
                }
                note(
                    &mut frames,
                    Bytes::copy_from_slice(&buffer[..length]),
                    &times,
                )?;
            }
        });
        let emulator = Emulator::Tcp(wan);
        Ok(Self {
            emulator,
            ends,
            tasks,
        })
    }
}

/// What waits already, all at once; none when nothing more will come.
async fn together(arriving: &mut mpsc::Receiver<Bytes>) -> Option<Vec<Bytes>> {
    let mut chunks = vec![arriving.recv().await?];
    while let Ok(more) = arriving.try_recv() {
        chunks.push(more);
    }
    Some(chunks)
}

fn note(frames: &mut FrameReader, chunk: Bytes, times: &Times) -> anyhow::Result<()> {
    frames.push(chunk);
    while let Some(batch) = frames.next()? {
        (batch.first().get()..=batch.last().get()).for_each(|revision| times.saw(revision));
    }
    Ok(())
}

/// A log without a home: objects, numbered and coded as the hub does it.
struct Log {
    objects: Objects,
    encoder: Encoder,
    revision: i64,
    batches: mpsc::Sender<Bytes>,
}

impl Log {
    fn new(objects: usize, batches: mpsc::Sender<Bytes>) -> Self {
        Self {
            objects: Objects::new(objects, SEED),
            encoder: Encoder::new(EncoderConfig::new(Epoch::ZERO), GroupId::new(SEED)),
            revision: 0,
            batches,
        }
    }

    /// Writes `rate` revisions a second for `duration`; each counts from before it is coded.
    async fn write(
        &mut self,
        timeline: &Timeline,
        rate: f64,
        duration: Duration,
    ) -> anyhow::Result<Written> {
        let (from, mut issued) = (self.revision, 0);
        let mut pacer = Pacer::start(rate, duration);
        while let Some(due) = pacer.due_beyond(issued).await {
            while issued < due {
                self.revision += 1;
                timeline.committed().saw(self.revision);
                let batch = self.next();
                self.batches.send(batch).await.context("the wire is gone")?;
                issued += 1;
            }
        }
        Ok(Written {
            from,
            to: self.revision,
            seconds: duration.as_secs_f64(),
        })
    }

    fn next(&mut self) -> Bytes {
        let (key, value) = self.objects.write();
        let revision = Revision::new(self.revision);
        let record = Record::new(Fields {
            key: key.as_bytes(),
            value: value.as_bytes(),
            create_revision: Revision::new(1),
            mod_revision: revision,
            version: self.revision,
            lease: LeaseId::NONE,
        });
        let commit = Commit {
            revision,
            records: vec![record],
        };
        self.encoder.encode(&[commit]).frame().clone()
    }
}
