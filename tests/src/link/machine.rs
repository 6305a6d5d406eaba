//! One process of a link, which can be hurt and comes back on the same ports with the same files.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{LinkStatus, udp};
use crate::{
    gateway::binary,
    plain_http, ports,
    process::Process,
    wait::{SOON, eventually, within},
};

/// A status comes from memory: later than this, the process is not well.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// `meridian run` on one configuration file.
#[derive(Debug)]
pub struct Machine {
    /// `region/name`.
    pub name: String,
    /// Its admin port.
    pub admin: SocketAddr,
    file: PathBuf,
    log: PathBuf,
    process: Option<Process>,
    is_stopping: bool,
}

impl Machine {
    /// Writes the configuration and starts it.
    pub(super) fn start(
        (region, name): (&str, &str),
        admin: SocketAddr,
        config: &str,
        dir: &Path,
    ) -> Result<Self> {
        let stem = format!("{region}-{name}");
        let mut machine = Self {
            name: format!("{region}/{name}"),
            admin,
            file: dir.join(format!("{stem}.toml")),
            log: dir.join(format!("{stem}.log")),
            process: None,
            is_stopping: false,
        };
        fs::write(&machine.file, config).context("write a configuration")?;
        machine.launch()?;
        Ok(machine)
    }

    /// Starts it, if it does not run; does not wait for it to be ready.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn launch(&mut self) -> Result<()> {
        if self.process.is_none() {
            let words = ["run", "--config"].map(str::to_owned);
            let words = words.into_iter().chain([self.file.display().to_string()]);
            let process = Process::start(&self.name, &binary(), words, &[], &self.log)?;
            self.process = Some(process);
        }
        Ok(())
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Freezes it: its sockets stay, nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.process()?.signal(Signal::STOP)
    }

    /// Lets it run on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.process()?.signal(Signal::CONT)
    }

    /// Tells it to stop in order; does not wait for that.
    ///
    /// # Errors
    /// When it does not run.
    pub fn terminate(&mut self) -> Result<()> {
        self.is_stopping = true;
        self.process()?.signal(Signal::TERM)
    }

    /// If it was told to stop, waits until it has; it can be launched again then.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stopped(&mut self) -> Result<()> {
        if self.is_stopping
            && let Some(mut process) = self.process.take()
        {
            process.ends(SOON).await?;
        }
        self.is_stopping = false;
        Ok(())
    }

    fn process(&self) -> Result<&Process> {
        self.process
            .as_ref()
            .with_context(|| format!("{} does not run", self.name))
    }

    /// Where its datagrams come from on loopback: the port that it serves on and the one that it dials
    /// from. None when it does not run.
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.id().map(udp::addresses_of).unwrap_or_default()
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it does not run.
    pub fn id(&self) -> Result<u32> {
        Ok(self.process()?.id())
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When it ends or does not say so; its last log lines are part of the error.
    pub async fn ready(&mut self) -> Result<()> {
        let (admin, what) = (self.admin, format!("{} is ready", self.name));
        let ready = eventually(SOON, &what, || {
            let ended = self.process.as_mut().map(Process::ended);
            async move {
                ensure!(matches!(ended, Some(Ok(None))), "it ended");
                let answer = within(
                    STATUS_PATIENCE,
                    "/readyz",
                    plain_http::get(admin, "/readyz"),
                );
                let answer = answer.await??;
                let said = String::from_utf8_lossy(&answer.body);
                ensure!(answer.status.is_success(), "{} {said:?}", answer.status);
                Ok(())
            }
        });
        ready.await.with_context(|| self.log_tail())
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.process.as_mut().map(Process::ended);
        matches!(ended, Some(Ok(Some(_))))
    }

    /// `/status.json`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Value> {
        let answer = plain_http::get(self.admin, "/status.json");
        within(STATUS_PATIENCE, "a status", answer).await??.json()
    }

    /// What `/status.json` says of its link.
    ///
    /// # Errors
    /// When it does not answer, or says nothing of a link.
    pub async fn link(&self) -> Result<LinkStatus> {
        LinkStatus::of(&self.status().await?)
    }

    /// Everything it has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines it has logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let away = || format!("--- {} is away\n", self.name);
        self.process.as_ref().map_or_else(away, Process::log_tail)
    }

    pub(super) fn clashed(&self) -> bool {
        ports::clashed(&self.log())
    }
}
