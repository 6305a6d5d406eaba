//! Running other programs to their end.
//!
//! Invariant: a program gets no standard input, and its failure names the command line as one would type
//! it. A run with a limit ends its program when the limit is over. Knows nothing of what the programs do.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// How often a program with a limit is looked at: short against every limit here (minutes).
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs it, its output shown as it comes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("start `{}`", typed(command)))?;
    succeeded(command, status)
}

/// What to do with a program whose limit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// End it.
    End,
    /// Leave it running, to be looked at.
    Leave,
}

/// Runs it for no longer than `limit`, its output shown as it comes.
pub(crate) fn run_within(command: &mut Command, limit: Duration, overdue: Overdue) -> Result<()> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("start `{}`", typed(command)))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return succeeded(command, status);
        }
        if started.elapsed() > limit {
            let fate = match overdue {
                Overdue::End => {
                    child.kill()?;
                    child.wait()?;
                    "was ended".to_owned()
                }
                Overdue::Leave => {
                    format!("is left running as process {}, to be looked at", child.id())
                }
            };
            bail!(
                "`{}` was not done after {} s and {fate}",
                typed(command),
                limit.as_secs()
            );
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Runs it and returns its standard output; its standard error is part of the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start `{}`", typed(command)))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    succeeded(command, output.status).with_context(|| complaint.trim().to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "`{}` failed ({status})", typed(command));
    Ok(())
}

/// The command as one would type it: what was set in its environment, its program by name, its arguments.
pub(crate) fn typed(command: &Command) -> String {
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let set = set.map(|(name, value)| format!("{}={}", name.display(), quoted(value)));
    let program = Path::new(command.get_program());
    // A tool of PATH by its name alone; what we built by its path.
    let program = if program.file_name() == Some(OsStr::new("cargo")) {
        Path::new("cargo")
    } else {
        program
    };
    let words = std::iter::once(program.as_os_str())
        .chain(command.get_args())
        .map(quoted);
    set.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{word}'")
    }
}

/// The program of that name on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests;
