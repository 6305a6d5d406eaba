//! A child process with its output in a file. It dies with its handle, by its own pid and no other.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually;

/// Lines of a log shown when a test fails.
const TAIL_LINES: usize = 25;

/// A started child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it prints is appended to `log`.
    ///
    /// # Errors
    /// When the program or the log file cannot be opened.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &str)],
        log: &Path,
    ) -> Result<Self> {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open log {}", log.display()))?;
        let child = Command::new(program)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone().context("share the log file")?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// The child's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` to the child.
    ///
    /// # Errors
    /// When the child no longer exists.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| anyhow!("{} has no process id", self.name))?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("look at {}", self.name))
    }

    /// Waits for the child to end by itself.
    ///
    /// # Errors
    /// When it has not by the deadline.
    pub async fn ends(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let mut status = None;
        eventually(deadline, &format!("{name} ends"), || {
            status = self.child.try_wait().ok().flatten();
            std::future::ready(status.ok_or("it still runs"))
        })
        .await
    }

    /// Kills the child at once and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only when the child has already been waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines it has printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let skip = log.lines().count().saturating_sub(TAIL_LINES);
        let tail: Vec<&str> = log.lines().skip(skip).collect();
        format!(
            "--- last lines of {} ({})\n{}",
            self.name,
            self.log.display(),
            tail.join("\n")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}
