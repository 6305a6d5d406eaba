//! Gateways as processes: `meridian run` before a real etcd, and `meridian dev` with its embedded home.

mod dev;

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    client::Client,
    plain_http, ports,
    process::Process,
    wait::{SOON, eventually},
};

pub use dev::Dev;

/// Starts given up after this many port clashes in a row.
const START_TRIES: usize = 5;

/// The `meridian` binary: `MERIDIAN_BIN`, else the one built beside this test.
///
/// # Panics
/// When there is none: the text says how to get one.
#[must_use]
pub fn binary() -> PathBuf {
    find_binary().unwrap_or_else(|tried| {
        panic!(
            "no meridian binary at {tried}: run `cargo build -p meridian-cli`, or set MERIDIAN_BIN"
        )
    })
}

/// Whether there is a binary to test.
#[must_use]
pub fn is_built() -> bool {
    find_binary().is_ok()
}

fn find_binary() -> Result<PathBuf, String> {
    let beside = || {
        let test = env::current_exe().unwrap_or_default();
        // target/debug/deps/it-1234 -> target/debug/meridian
        test.parent()
            .and_then(Path::parent)
            .map(|dir| dir.join("meridian"))
            .unwrap_or_default()
    };
    let path = env::var_os("MERIDIAN_BIN").map_or_else(beside, PathBuf::from);
    if path.is_file() {
        Ok(path)
    } else {
        Err(path.display().to_string())
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct GatewayPlan {
    /// Its name.
    pub node: String,
    /// Its region.
    pub region: String,
    /// URLs of the home.
    pub home: Vec<String>,
    /// Lines added to `[gateway.etcd]`.
    pub etcd: String,
    /// Lines added to `[gateway.replica]`.
    pub replica: String,
    /// Tables added at the end.
    pub tables: String,
    /// Variables that override the file.
    pub env: Vec<(String, String)>,
}

impl GatewayPlan {
    /// A gateway of region `eu` before `home`.
    #[must_use]
    pub fn before(home: Vec<String>) -> Self {
        Self {
            node: "gw-1".to_owned(),
            region: "eu".to_owned(),
            home,
            etcd: String::new(),
            replica: String::new(),
            tables: String::new(),
            env: Vec::new(),
        }
    }

    fn config(&self, client: SocketAddr, admin: SocketAddr) -> String {
        format!(
            "[node]\nname = \"{}\"\nregion = \"{}\"\n\n[home]\nendpoints = {:?}\n\n\
             [gateway.etcd]\nlisten = \"{client}\"\n{}\n\n\
             [gateway.replica]\n{}\n\n[admin]\nlisten = \"{admin}\"\n\n\
             [log]\nformat = \"text\"\nlevel = \"info\"\n\n{}\n",
            self.node, self.region, self.home, self.etcd, self.replica, self.tables
        )
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Where clients connect to.
    pub client: SocketAddr,
    /// Its admin port.
    pub admin: SocketAddr,
    process: Process,
    args: Vec<String>,
    env: Vec<(String, String)>,
    dir: TempDir,
}

impl Gateway {
    /// Starts `plan` and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or does not become ready; its last log lines are part of the error.
    pub async fn start(plan: &GatewayPlan) -> Result<Self> {
        for _ in 0..START_TRIES {
            let mut gateway = Self::launch(plan)?;
            match gateway.ready().await {
                Ok(()) => return Ok(gateway),
                Err(_) if ports::clashed(&gateway.process.log()) => {}
                Err(refusal) => return Err(refusal.context(gateway.process.log_tail())),
            }
        }
        bail!("no free ports after {START_TRIES} tries")
    }

    /// Starts `plan` and does not wait for it.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn launch(plan: &GatewayPlan) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("meridian-gateway-")
            .tempdir()
            .context("make a folder")?;
        let [client, admin] = ports::free::<2>()?;
        let file = dir.path().join("gateway.toml");
        fs::write(&file, plan.config(client, admin)).context("write the configuration")?;
        let args = [
            "run".to_owned(),
            "--config".to_owned(),
            file.display().to_string(),
        ]
        .to_vec();
        let process = spawn(&plan.node, &args, &plan.env, dir.path())?;
        Ok(Self {
            client,
            admin,
            process,
            args,
            env: plan.env.clone(),
            dir,
        })
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When the process ends, or it does not say so.
    pub async fn ready(&mut self) -> Result<()> {
        let admin = self.admin;
        eventually(SOON, "the gateway is ready", || {
            let ended = self.process.ended();
            async move {
                // Ended means that waiting is in vain, but the log tells why: let the deadline be short.
                ensure!(ended?.is_none(), "it ended");
                let answer = plain_http::get(admin, "/readyz").await?;
                ensure!(
                    answer.status.is_success(),
                    "{} {:?}",
                    answer.status,
                    answer.body
                );
                Ok(())
            }
        })
        .await
    }

    /// Its URL for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.client)
    }

    /// A client of its own connection.
    ///
    /// # Errors
    /// Never in practice.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(&self.endpoint())
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Tells it to stop in order.
    ///
    /// # Errors
    /// When it does not run.
    pub fn terminate(&self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// Kills it at once and starts it again on the same ports; does not wait for it to be ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = spawn("gateway", &self.args, &self.env, self.dir.path())?;
        Ok(())
    }
}

fn spawn(name: &str, args: &[String], env: &[(String, String)], dir: &Path) -> Result<Process> {
    let env: Vec<(&str, &str)> = env
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    Process::start(name, &binary(), args, &env, &dir.join("meridian.log"))
}
