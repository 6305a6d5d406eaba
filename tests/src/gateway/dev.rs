//! `meridian dev` as a process.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::{START_TRIES, spawn};
use crate::{
    client::Client,
    ports,
    process::Process,
    wait::{SOON, eventually},
};

/// A running `meridian dev`.
#[derive(Debug)]
pub struct Dev {
    /// The gateway beside the home.
    pub us: SocketAddr,
    /// The gateway whose way to the home is long.
    pub eu: SocketAddr,
    process: Process,
    args: Vec<String>,
    dir: TempDir,
}

impl Dev {
    /// Starts one whose `eu` has this round trip to the home, and waits until both regions serve.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(round_trip: Duration) -> Result<Self> {
        Self::start_with(round_trip, &[]).await
    }

    /// The same with further flags.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_with(round_trip: Duration, flags: &[String]) -> Result<Self> {
        for _ in 0..START_TRIES {
            let dir = tempfile::Builder::new()
                .prefix("meridian-dev-")
                .tempdir()
                .context("make a folder")?;
            let [us, eu] = ports::free::<2>()?;
            let mut args = vec![
                "dev".to_owned(),
                format!("--dir={}", dir.path().join("home").display()),
                format!("--rtt={}ms", round_trip.as_millis()),
                format!("--us-listen={us}"),
                format!("--eu-listen={eu}"),
            ];
            args.extend_from_slice(flags);
            let process = spawn("meridian dev", &args, &[], dir.path())?;
            let mut dev = Self {
                us,
                eu,
                process,
                args,
                dir,
            };
            match dev.serves().await {
                Ok(()) => return Ok(dev),
                Err(_) if ports::clashed(&dev.process.log()) => {}
                Err(refusal) => return Err(refusal.context(dev.process.log_tail())),
            }
        }
        bail!("no free ports after {START_TRIES} tries")
    }

    /// Waits until both regions answer serializable reads from complete replicas.
    ///
    /// # Errors
    /// When they do not.
    pub async fn serves(&mut self) -> Result<()> {
        for address in [self.us, self.eu] {
            eventually(SOON, "a region of meridian dev serves", || {
                let ended = self.process.ended();
                async move {
                    ensure!(ended?.is_none(), "it ended");
                    let client = Client::connect(&format!("http://{address}"))?;
                    let request = meridian_etcd_api::etcdserverpb::RangeRequest {
                        key: "health".into(),
                        serializable: true,
                        ..Default::default()
                    };
                    client.range(request).await?;
                    Ok(())
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it at once and starts it again on the same folder and ports.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = spawn("meridian dev", &self.args, &[], self.dir.path())?;
        Ok(())
    }
}
