//! One child process: its log file, its id, its end.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::process::ProcessId;

/// Between two looks at a server that starts.
const LOOK: Duration = Duration::from_millis(10);
/// Of its log, what an error shows.
const LOG_TAIL_BYTES: usize = 2000;

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it with both outputs in `folder/name.log`.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        without_settings(command);
        let program = command.get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its id, for `/proc`.
    pub fn id(&self) -> ProcessId {
        ProcessId(self.child.id())
    }

    /// Why it runs no more, with the end of its log; none while it runs.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!(
            "{} ended with {status}; its log ends:\n{}",
            self.name,
            self.log_tail()
        ))
    }

    /// Waits until `ready` is true; an early end or the deadline is an error with the end of the log.
    pub async fn wait_until(
        &mut self,
        deadline: Duration,
        mut ready: impl AsyncFnMut() -> bool,
    ) -> anyhow::Result<Duration> {
        let start = Instant::now();
        while !ready().await {
            if let Some(words) = self.ended() {
                bail!(words);
            }
            if start.elapsed() > deadline {
                let name = &self.name;
                bail!(
                    "{name} is not ready after {deadline:?}; its log ends:\n{}",
                    self.log_tail()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(start.elapsed())
    }

    fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }
}

/// Takes settings of the surroundings away: all that is compared is started in the same known way.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["ETCD_", "ETCDCTL_", "MERIDIAN__"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
