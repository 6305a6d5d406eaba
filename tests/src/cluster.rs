//! A real etcd cluster of one or three members, with fast timings, that can be hurt member by member.

mod plan;

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use meridian_etcd_api::etcdserverpb as pb;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    client::Client,
    ports,
    process::Process,
    release::Release,
    wait::{SOON, eventually, within},
};

use plan::arguments;
pub use plan::{ClusterPlan, ClusterTls};

/// Starts given up after this many port clashes in a row.
const START_TRIES: usize = 5;

/// A running cluster; its members and its folder go when it goes.
#[derive(Debug)]
pub struct Cluster {
    release: &'static Release,
    members: Vec<Member>,
    tls: Option<ClusterTls>,
    dir: TempDir,
}

#[derive(Debug)]
struct Member {
    name: String,
    client: SocketAddr,
    args: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
}

impl Cluster {
    /// Starts `plan` and waits until every member serves linearizable reads.
    ///
    /// # Errors
    /// When a member does not come up; its last log lines are part of the error.
    pub async fn start(plan: &ClusterPlan) -> Result<Self> {
        for _ in 0..START_TRIES {
            let mut cluster = Self::prepare(plan)?;
            for member in 0..plan.members {
                cluster.launch(member)?;
            }
            match cluster.serves().await {
                Ok(()) => return Ok(cluster),
                Err(_) if cluster.clashed() => {}
                Err(refusal) => return Err(refusal.context(cluster.log_tails())),
            }
        }
        bail!("no free ports after {START_TRIES} tries")
    }

    /// A one-member cluster of `release`.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn single(release: &'static Release) -> Result<Self> {
        Self::start(&ClusterPlan::new(release, 1)).await
    }

    /// A three-member cluster of `release`.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn triple(release: &'static Release) -> Result<Self> {
        Self::start(&ClusterPlan::new(release, 3)).await
    }

    fn prepare(plan: &ClusterPlan) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("meridian-etcd-")
            .tempdir()
            .context("make a folder")?;
        let mut addresses = Vec::new();
        for _ in 0..plan.members {
            addresses.push(ports::free::<2>()?);
        }
        let initial: Vec<String> = addresses
            .iter()
            .enumerate()
            .map(|(n, [_, peer])| format!("m{n}=http://{peer}"))
            .collect();
        let initial = initial.join(",");
        let scheme = plan.tls.as_ref().map_or("http", |_| "https");
        let members = addresses.iter().enumerate().map(|(n, [client, peer])| {
            let name = format!("m{n}");
            let mut args = arguments(&name, (scheme, *client), *peer, &initial);
            args.push(format!("--data-dir={}", dir.path().join(&name).display()));
            // Other clusters of the same machine must not be taken for this one.
            args.push(format!("--initial-cluster-token={}", dir.path().display()));
            if plan.release.since(3, 5) {
                args.push("--unsafe-no-fsync".to_owned());
            }
            args.extend(plan.flags.iter().cloned());
            args.extend(plan.tls.iter().flat_map(ClusterTls::arguments));
            Member {
                log: dir.path().join(format!("{name}.log")),
                name,
                client: *client,
                args,
                process: None,
            }
        });
        Ok(Self {
            release: plan.release,
            members: members.collect(),
            tls: plan.tls.clone(),
            dir,
        })
    }

    fn launch(&mut self, n: usize) -> Result<()> {
        let member = &mut self.members[n];
        let name = format!("etcd {} {}", self.release.version, member.name);
        // Go's runtime spreads over all cores unless told: a test machine has few.
        let env = [
            ("GOMAXPROCS", "2"),
            ("ETCD_UNSUPPORTED_ARCH", ""),
            ("GOGC", "200"),
        ];
        member.process = Some(Process::start(
            &name,
            &self.release.etcd,
            &member.args,
            &env,
            &member.log,
        )?);
        Ok(())
    }

    async fn serves(&mut self) -> Result<()> {
        for n in 0..self.members.len() {
            self.member_serves(n).await?;
        }
        Ok(())
    }

    async fn member_serves(&mut self, n: usize) -> Result<()> {
        eventually(SOON, "an etcd member serves linearizable reads", || {
            let ended = self.members[n]
                .process
                .as_mut()
                .and_then(|process| process.ended().ok().flatten());
            let client = self.connect(n);
            async move {
                ensure!(ended.is_none(), "it ended");
                let client = client?;
                let request = pb::RangeRequest {
                    key: "health".into(),
                    ..Default::default()
                };
                within(Duration::from_secs(2), "a read", client.range(request)).await??;
                Ok(())
            }
        })
        .await
    }

    fn clashed(&self) -> bool {
        self.members.iter().any(|member| {
            member
                .process
                .as_ref()
                .is_some_and(|p| ports::clashed(&p.log()))
        })
    }

    /// The last log lines of every member.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let tails = self
            .members
            .iter()
            .filter_map(|member| Some(member.process.as_ref()?.log_tail()));
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Which etcd this is.
    #[must_use]
    pub fn release(&self) -> &'static Release {
        self.release
    }

    /// How many members it was planned with.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// A place for files that live as long as the cluster.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Client address of member `n`.
    #[must_use]
    pub fn address(&self, n: usize) -> SocketAddr {
        self.members[n].client
    }

    /// Client URL of member `n`.
    #[must_use]
    pub fn endpoint(&self, n: usize) -> String {
        let scheme = self.tls.as_ref().map_or("http", |_| "https");
        format!("{scheme}://{}", self.members[n].client)
    }

    /// A client of member `n`, with the certificate it wants.
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn connect(&self, n: usize) -> Result<Client> {
        let url = self.endpoint(n);
        match &self.tls {
            None => Client::connect(&url),
            Some(tls) => Client::connect_tls(&url, &tls.ca, Some(&tls.client)),
        }
    }

    /// Client URLs of all members.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members.len()).map(|n| self.endpoint(n)).collect()
    }

    /// The member that leads, waiting until one does.
    ///
    /// # Errors
    /// When none leads for long.
    pub async fn leader(&self) -> Result<usize> {
        eventually(SOON, "the cluster has a leader", || async {
            for n in 0..self.members.len() {
                let Ok(client) = self.connect(n) else {
                    continue;
                };
                let status = within(
                    Duration::from_secs(1),
                    "status",
                    client.status(pb::StatusRequest {}),
                )
                .await;
                let Ok(Ok(status)) = status else { continue };
                let own = status.header.map_or(0, |header| header.member_id);
                if status.leader != 0 && status.leader == own {
                    return Ok(n);
                }
            }
            Err("no member says that it leads")
        })
        .await
    }

    /// Kills member `n` at once; its data stays.
    pub fn kill(&mut self, n: usize) {
        self.members[n].process = None;
    }

    /// Ends member `n` in order.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self, n: usize) -> Result<()> {
        let Some(mut process) = self.members[n].process.take() else {
            return Ok(());
        };
        process.signal(Signal::TERM)?;
        process.ends(SOON).await?;
        Ok(())
    }

    /// Freezes member `n`: its sockets stay open, nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self, n: usize) -> Result<()> {
        self.process(n)?.signal(Signal::STOP)
    }

    /// Lets a frozen member run on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self, n: usize) -> Result<()> {
        self.process(n)?.signal(Signal::CONT)
    }

    fn process(&self, n: usize) -> Result<&Process> {
        self.members[n]
            .process
            .as_ref()
            .context("the member is not running")
    }

    /// Starts member `n` again on its old data; does not wait for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self, n: usize) -> Result<()> {
        self.members[n].process = None;
        // An empty log, so that an old clash is not taken for a new one.
        fs::write(&self.members[n].log, "").context("empty the log")?;
        self.launch(n)
    }

    /// Waits until member `n` serves linearizable reads.
    ///
    /// # Errors
    /// When it does not.
    pub async fn recovered(&mut self, n: usize) -> Result<()> {
        self.member_serves(n).await
    }
}
