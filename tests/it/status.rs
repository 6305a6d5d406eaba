//! `meridian status` and `meridian config check`, as an operator meets them.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use meridian_tests::{
    ask, expect,
    gateway::binary,
    wait::{SOON, eventually},
    wan::Weather,
    watching::{self, Watching},
};
use serde_json::Value;

use crate::region::Region;

/// Standard output of a command that must succeed.
fn printed(words: &[&str]) -> Result<String> {
    let out = Command::new(binary()).args(words).output()?;
    let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(
        out.status.success(),
        "{words:?} ended with {}: {complaint}",
        out.status
    );
    Ok(String::from_utf8(out.stdout)?)
}

fn number(status: &Value, path: &str) -> Result<i64> {
    let value = status
        .pointer(path)
        .with_context(|| format!("no {path} in {status}"))?;
    value.as_i64().with_context(|| format!("{path} is {value}"))
}

#[tokio::test]
async fn status_tells_what_the_gateway_is_and_holds() -> Result<()> {
    let region = Region::start("").await?;
    let client = region.gateway.connect()?;
    let put = client.put(ask::put("k", "v")).await?;
    let revision = expect::revision(put.header.as_ref())?;
    let (_watching, _) = Watching::start(&client, watching::of_key("k")).await?;
    let admin = format!("http://{}", region.gateway.admin);
    let status = eventually(SOON, "the replica has the write", || async {
        let status: Value =
            serde_json::from_str(&printed(&["status", "--admin", &admin, "--json"])?)?;
        expect::same("revision", number(&status, "/revision")?, revision)?;
        anyhow::Ok(status)
    })
    .await?;
    for (path, wanted) in [
        ("/node", "gw-1"),
        ("/region", "eu"),
        ("/role", "gateway"),
        ("/home/endpoints/0/url", &region.wan.endpoint()),
        (
            "/home/endpoints/0/version",
            &region.cluster.release().version.to_string(),
        ),
    ] {
        let found = status.pointer(path).and_then(Value::as_str);
        expect::same(path, found, Some(wanted))?;
    }
    let healthy = status.pointer("/home/endpoints/0/healthy");
    expect::same("healthy", healthy.and_then(Value::as_bool), Some(true))?;
    expect::same("watchers", number(&status, "/watchers")?, 1)?;
    expect::same("keys", number(&status, "/keys")?, 1)?;
    ensure!(
        number(&status, "/connections")? >= 1,
        "no connection: {status}"
    );
    ensure!(number(&status, "/staleness_ms")? < 5_000, "stale: {status}");
    number(&status, "/epoch")?;
    let page = printed(&["status", "--admin", &admin])?;
    for wanted in [
        "gw-1",
        "eu",
        "gateway",
        "epoch",
        "staleness",
        "watchers",
        "connections",
        "healthy",
    ] {
        ensure!(page.contains(wanted), "no {wanted} on the page:\n{page}");
    }
    Ok(())
}

#[tokio::test]
async fn status_tells_what_is_wrong_with_the_home() -> Result<()> {
    let region = Region::start("").await?;
    region.wan.set(Weather::Cut);
    let admin = format!("http://{}", region.gateway.admin);
    eventually(SOON, "the page says so", || async {
        let page = printed(&["status", "--admin", &admin])?;
        let told = page.contains("NOT HEALTHY") && page.contains("NO LEADER");
        ensure!(told, "all seems well:\n{page}");
        anyhow::Ok(())
    })
    .await
}

#[test]
fn status_of_nobody_is_one_clear_complaint() -> Result<()> {
    let out = Command::new(binary())
        .args(["status", "--admin", "http://127.0.0.1:1"])
        .output()?;
    let text = String::from_utf8_lossy(&out.stderr);
    ensure!(
        !out.status.success() && text.contains("http://127.0.0.1:1"),
        "{text}"
    );
    ensure!(text.contains("is the node running"), "no remedy: {text}");
    Ok(())
}

#[test]
fn what_config_check_prints_is_a_configuration_with_the_same_effect() -> Result<()> {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/examples/gateway.toml");
    let text = printed(&["config", "check", example])?;
    for wanted in [
        "name = \"gateway-1\"",
        "listen = \"127.0.0.1:12379\"",
        // Not in the file: the defaults are shown as well.
        "progress_notify_interval = \"10m\"",
        "probe_interval = \"100ms\"",
        "call_timeout = \"10s\"",
    ] {
        ensure!(text.contains(wanted), "no {wanted} in\n{text}");
    }
    let dir = tempfile::tempdir()?;
    let again = dir.path().join("again.toml");
    fs::write(&again, &text)?;
    let path = again.to_str().context("a path in UTF-8")?;
    expect::same("read again", printed(&["config", "check", path])?, text)
}
