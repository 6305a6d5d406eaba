//! Running a client program to its end, or holding one that goes on.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use meridian_tests::wait::within;

/// A client that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a program with these words and this input; gives what it prints.
pub(crate) async fn run(program: &Path, words: &[&str], input: &str) -> Result<String> {
    use tokio::io::AsyncWriteExt;
    let mut command = tokio::process::Command::from(command(program, words));
    let mut child = command
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start a client")?;
    let mut stdin = child.stdin.take().context("its input")?;
    stdin
        .write_all(input.as_bytes())
        .await
        .context("write its input")?;
    drop(stdin);
    let out = within(
        PATIENCE,
        &format!("{words:?} ends"),
        child.wait_with_output(),
    )
    .await??;
    let (printed, complained) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    ensure!(
        out.status.success(),
        "{words:?} failed: {printed}{complained}"
    );
    // 3.4 prints parts of some answers beside its output.
    Ok(printed.into_owned() + &complained)
}

fn command(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A client that goes on, read line by line; it ends with its handle.
pub(crate) struct Running {
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Running {
    pub(crate) fn start(program: &Path, words: &[&str]) -> Result<Self> {
        let mut command = tokio::process::Command::from(command(program, words));
        let mut child = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start a client")?;
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        Ok(Self { lines, child })
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> Result<String> {
        let line = within(PATIENCE, "a line of output", self.lines.next_line()).await??;
        line.context("the client ended")
    }

    /// Stops it as Ctrl-C does.
    pub(crate) async fn interrupt(mut self) -> Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        rustix::process::kill_process(pid.context("it ended")?, rustix::process::Signal::INT)?;
        within(PATIENCE, "it ends", self.child.wait()).await??;
        Ok(())
    }
}
