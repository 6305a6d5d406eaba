//! Starting etcd, and a home connected to it.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use meridian_etcd_api::etcdserverpb as pb;
use meridian_home::{
    Call, CallError, Home, Method,
    remote::{RemoteConfig, RemoteHome, RemoteTls},
};
use meridian_runtime::TaskGroup;
use prost::Message;
use tempfile::TempDir;

/// No wait of a test is longer.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Every etcd that is here; says so if there is none.
pub(super) fn binaries() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path)
        .map(|dir| dir.join("etcd"))
        .collect();
    found.truncate(found.len().min(64));
    found.retain(|binary| binary.is_file());
    found.truncate(1);
    if let Ok(versions) = std::fs::read_dir("/opt/etcd") {
        found.extend(
            versions
                .flatten()
                .map(|dir| dir.path().join("etcd"))
                .filter(|b| b.is_file()),
        );
    }
    if found.is_empty() {
        eprintln!("skipped: no etcd in PATH or /opt/etcd; Debian has it as etcd-server");
    }
    found
}

/// One etcd process; killed when dropped.
pub(super) struct Member {
    process: Child,
    pub(super) url: String,
    _dir: TempDir,
}

impl Member {
    pub(super) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([name, &self.pid().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a cluster of so many members.
pub(super) fn start(binary: &Path, members: usize) -> Vec<Member> {
    start_with(binary, members, "http", &[])
}

/// Starts a cluster whose client URLs have this scheme, with further arguments for each member.
pub(super) fn start_with(
    binary: &Path,
    members: usize,
    scheme: &str,
    args: &[String],
) -> Vec<Member> {
    let listeners: Vec<TcpListener> = (0..2 * members)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap())
        .collect();
    let ports: Vec<u16> = listeners
        .iter()
        .map(|l| l.local_addr().unwrap().port())
        .collect();
    drop(listeners);
    let clients: Vec<String> = ports[..members]
        .iter()
        .map(|port| format!("{scheme}://127.0.0.1:{port}"))
        .collect();
    let peers: Vec<String> = ports[members..]
        .iter()
        .map(|port| format!("http://127.0.0.1:{port}"))
        .collect();
    let named: Vec<String> = peers
        .iter()
        .enumerate()
        .map(|(i, url)| format!("m{i}={url}"))
        .collect();
    let cluster = named.join(",");
    let start_one = |i: usize| {
        let dir = TempDir::new().unwrap();
        let process = Command::new(binary)
            .args(["--name", &format!("m{i}"), "--initial-cluster", &cluster])
            .args([
                "--listen-client-urls",
                &clients[i],
                "--advertise-client-urls",
                &clients[i],
            ])
            .args([
                "--listen-peer-urls",
                &peers[i],
                "--initial-advertise-peer-urls",
                &peers[i],
            ])
            .args(["--quota-backend-bytes", "4294967296"])
            .args(args)
            .arg("--data-dir")
            .arg(dir.path())
            .env_remove("ETCD_NAME")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Member {
            process,
            url: clients[i].clone(),
            _dir: dir,
        }
    };
    (0..members).map(start_one).collect()
}

/// A home connected to `members`.
pub(super) struct TestHome {
    pub(super) home: Arc<RemoteHome>,
    tasks: TaskGroup,
}

impl TestHome {
    /// Returns when every member has told its version and a read index is answered.
    pub(super) async fn of(members: &[Member]) -> Self {
        Self::with_tls(members, None).await
    }

    /// The same over TLS, if given.
    pub(super) async fn with_tls(members: &[Member], tls: Option<RemoteTls>) -> Self {
        let tasks = TaskGroup::root("test");
        let urls = members.iter().map(|member| member.url.clone());
        let config = RemoteConfig {
            tls,
            ..RemoteConfig::of(urls)
        };
        let home = RemoteHome::connect(config, &tasks).unwrap();
        let deadline = Instant::now() + LIMIT;
        loop {
            let all_told = home
                .describe()
                .endpoints
                .iter()
                .all(|e| e.version.is_some());
            if all_told && home.read_index().await.is_ok() {
                return Self { home, tasks };
            }
            assert!(Instant::now() < deadline, "{:?}", home.describe());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A unary call of plain messages.
    pub(super) async fn call<A: Message + Default>(
        &self,
        method: Method,
        request: &impl Message,
    ) -> Result<A, CallError> {
        let call = Call::new(method, Bytes::from(request.encode_to_vec()));
        let reply = tokio::time::timeout(LIMIT, self.home.unary(call))
            .await
            .unwrap()?;
        Ok(A::decode(reply.message).unwrap())
    }

    /// Puts a key; the revision it was given.
    pub(super) async fn put(&self, key: &str, value: &str) -> Result<i64, CallError> {
        let answer: pb::PutResponse = self.call(Method::KvPut, &put(key, value)).await?;
        Ok(answer.header.unwrap().revision)
    }

    pub(super) async fn stop(self) {
        assert!(self.tasks.stop(LIMIT).await.is_clean());
    }
}

pub(super) fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..Default::default()
    }
}
