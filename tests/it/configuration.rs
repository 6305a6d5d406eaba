//! What is wrong with a configuration is told at once and all together, before any port is bound.

use std::{fs, net::TcpListener, process::Command};

use anyhow::{Context, Result, ensure};
use meridian_tests::{expect, gateway};

/// Exit code, and everything that was printed.
fn meridian(words: &[&str], env: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let out = Command::new(gateway::binary())
        .args(words)
        .envs(env.iter().copied())
        .output()?;
    let text =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    Ok((out.status.code(), text))
}

fn file(text: &str) -> Result<(tempfile::TempDir, String)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("gateway.toml");
    fs::write(&path, text)?;
    Ok((dir, path.to_str().context("a path in UTF-8")?.to_owned()))
}

const WRONG: &str = r#"
[node]
name = "gw"
region = 5
[home]
endpoints = []
[gateway.etcd]
listen = "nowhere"
lisen = "127.0.0.1:1"
[gateway.replica]
history_bytes = -1
[log]
format = "xml"
[nobody]
knows = "this"
"#;

#[test]
fn everything_wrong_is_told_at_once_with_code_two() -> Result<()> {
    let (_dir, path) = file(WRONG)?;
    for words in [
        ["run", "--config", path.as_str()],
        ["config", "check", path.as_str()],
    ] {
        let (code, text) = meridian(&words, &[])?;
        expect::same("exit code", code, Some(2))?;
        for wrong in [
            "node.region",
            "home.endpoints",
            "gateway.etcd.listen",
            "lisen",
            "history_bytes",
            "log.format",
            "nobody",
        ] {
            ensure!(
                text.contains(wrong),
                "{words:?} does not name {wrong}: {text}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_missing_file_is_one_clear_line() -> Result<()> {
    let (code, text) = meridian(&["run", "--config", "/nowhere/gateway.toml"], &[])?;
    ensure!(
        code != Some(0) && text.contains("/nowhere/gateway.toml"),
        "{code:?} {text}"
    );
    Ok(())
}

#[test]
fn the_environment_overrides_the_file() -> Result<()> {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/examples/gateway.toml");
    let env = [("MERIDIAN__GATEWAY__ETCD__LISTEN", "127.0.0.1:43210")];
    let (code, text) = meridian(&["config", "check", example], &env)?;
    expect::same("exit code", code, Some(0))?;
    ensure!(text.contains("127.0.0.1:43210"), "{text}");
    let env = [("MERIDIAN__GATEWAY__ETCD__LISTEN", "nowhere")];
    let (code, text) = meridian(&["config", "check", example], &env)?;
    expect::same("exit code", code, Some(2))?;
    ensure!(
        text.contains("gateway.etcd.listen") || text.contains("MERIDIAN__GATEWAY__ETCD__LISTEN"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_taken_port_is_named() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let text = format!(
        "[node]\nname = \"gw\"\nregion = \"eu\"\n[home]\nendpoints = [\"http://127.0.0.1:1\"]\n\
         [gateway.etcd]\nlisten = \"{address}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"
    );
    let (_dir, path) = file(&text)?;
    let (code, text) = meridian(&["run", "--config", &path], &[])?;
    ensure!(
        code.is_some_and(|code| code != 0) && text.contains(&address.to_string()),
        "{code:?} {text}"
    );
    Ok(())
}
