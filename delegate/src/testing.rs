//! What tests of links stand on: an authority with its certificates, and nodes with open ports.

pub(crate) mod home;
pub(crate) mod log;

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use meridian_runtime::TaskGroup;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;

use crate::{
    NodeName,
    link::{Congestion, Endpoint, Link, LinkConfig, WINDOW_BYTES},
};

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The node `name` of `region`.
pub(crate) fn node(region: &str, name: &str) -> NodeName {
    NodeName {
        region: region.to_owned(),
        name: name.to_owned(),
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Office {
    /// A node that may be a hub.
    Hub,
    /// Any other node.
    Member,
}

/// An authority whose files are in a folder of the test's.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    /// Its certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `name`, valid now.
    pub(crate) fn issue(&self, name: &NodeName, office: Office) -> LinkConfig {
        self.issue_with(name, office, |_| {})
    }

    /// One that has expired in 2024.
    pub(crate) fn issue_expired(&self, name: &NodeName, office: Office) -> LinkConfig {
        self.issue_with(name, office, |params| {
            params.not_before = date_time_ymd(2023, 1, 1);
            params.not_after = date_time_ymd(2024, 1, 1);
        })
    }

    /// One with something else about it.
    pub(crate) fn issue_with(
        &self,
        name: &NodeName,
        office: Office,
        change: impl FnOnce(&mut CertificateParams),
    ) -> LinkConfig {
        let mut names = vec!["node.meridian.internal".to_owned()];
        names.extend((office == Office::Hub).then(|| "hub.meridian.internal".to_owned()));
        let mut params = CertificateParams::new(names).unwrap();
        let uri = format!("meridian://{name}");
        let uri = SanType::URI(uri.as_str().try_into().unwrap());
        params.subject_alt_names.push(uri);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let stem = format!("{}-{}", name.region, name.name);
        let write = |ending: &str, text: String| -> PathBuf {
            let path = self.dir.path().join(format!("{stem}.{ending}"));
            fs::write(&path, text).unwrap();
            path
        };
        LinkConfig {
            ca: write("ca.crt", self.pem()),
            cert: write("crt", certificate.pem()),
            key: write("key", key.serialize_pem()),
            window_bytes: WINDOW_BYTES,
            congestion: Congestion::default(),
        }
    }
}

/// A node with an open port.
pub(crate) struct Port {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) address: String,
    pub(crate) tasks: TaskGroup,
}

impl Port {
    pub(crate) fn open(config: &LinkConfig, me: &NodeName) -> Self {
        let tasks = TaskGroup::root(me.name.clone());
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = Endpoint::open(Some(listen), config, me, &tasks).unwrap();
        let address = endpoint.local_addr().unwrap().to_string();
        Self {
            endpoint: Arc::new(endpoint),
            address,
            tasks,
        }
    }

    pub(crate) async fn accept(&self) -> Link {
        let accepted = tokio::time::timeout(SOON, self.endpoint.accept()).await;
        accepted.expect("a link comes soon").unwrap()
    }
}

/// A hub and a node with a link between them.
pub(crate) struct Pair {
    pub(crate) authority: Authority,
    pub(crate) hub: Port,
    pub(crate) node: Port,
    /// The node's end.
    pub(crate) link: Link,
    /// The hub's end.
    pub(crate) accepted: Link,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        Self::with_window(WINDOW_BYTES).await
    }

    pub(crate) async fn with_window(window_bytes: u64) -> Self {
        let authority = Authority::new();
        let (hub_name, node_name) = (node("us", "hub-1"), node("eu", "gw-1"));
        let config = |config: LinkConfig| LinkConfig {
            window_bytes,
            ..config
        };
        let hub = config(authority.issue(&hub_name, Office::Hub));
        let member = config(authority.issue(&node_name, Office::Member));
        let hub = Port::open(&hub, &hub_name);
        let member = Port::open(&member, &node_name);
        let link = member.endpoint.connect_hub(&hub.address).await.unwrap();
        let accepted = hub.accept().await;
        Self {
            authority,
            hub,
            node: member,
            link,
            accepted,
        }
    }
}

/// Lines that were logged on this thread at WARN or above, for as long as the guard lives.
#[derive(Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    pub(crate) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let logged = Self::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (logged, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bytes that look random, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

/// Calls `try_it` on `rounds` mutations of `seeds`: bits flipped, cut, stretched and spliced.
pub(crate) fn mutate(seeds: &[Vec<u8>], rounds: u64, mut try_it: impl FnMut(&[u8])) {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..rounds {
        let mut bytes = seeds[random.usize(..seeds.len())].clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..=bytes.len());
            match random.u8(..6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
                1 => bytes.truncate(at),
                2 => bytes.insert(at, random.u8(..)),
                3 if at < bytes.len() => {
                    bytes[at] = *random.choice(&[0, 0x7f, 0x80, 0xff]).unwrap()
                }
                4 => {
                    let other = &seeds[random.usize(..seeds.len())];
                    let from = random.usize(..=other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                _ => bytes.splice(at..at, [0xff; 9]).for_each(drop),
            }
        }
        try_it(&bytes);
    }
}
