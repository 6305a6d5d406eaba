//! Python's `etcd3` through a gateway; skipped, and said so, where it is not installed.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use meridian_tests::{
    release::Release,
    target::{Kind, Target, Wish},
};

use crate::script;

/// What a person would write to try the library out.
const SCRIPT: &str = r#"
import sys, threading
import etcd3

host, port = sys.argv[1].rsplit(":", 1)
client = etcd3.client(host=host, port=int(port), timeout=10)

client.put("py/a", "1")
value, meta = client.get("py/a")
assert value == b"1" and meta.key == b"py/a" and meta.version == 1, (value, meta)
assert client.get("py/missing") == (None, None)
assert [v for v, _ in client.get_prefix("py/")] == [b"1"]
assert client.replace("py/a", "1", "2") and not client.replace("py/a", "1", "3")
assert client.put_if_not_exists("py/b", "x") and not client.put_if_not_exists("py/b", "y")

events, cancel = client.watch_prefix("py/watched/")
client.put("py/watched/k", "v")
event = next(events)
assert event.key == b"py/watched/k" and event.value == b"v", event
client.delete("py/watched/k")
assert type(next(events)).__name__ == "DeleteEvent"
cancel()

lease = client.lease(100)
client.put("py/leased", "x", lease=lease)
assert lease.granted_ttl == 100 and lease.keys == [b"py/leased"]
lease.refresh()
lease.revoke()
assert client.get("py/leased") == (None, None)

with client.lock("py-lock", ttl=10) as lock:
    assert lock.is_acquired()
    try:
        taken = client.lock("py-lock", ttl=10).acquire(timeout=0.3)
    except TypeError:  # etcd3 0.12 stumbles over tenacity 7 and later when it has to wait
        taken = False
    assert not taken
assert client.lock("py-lock", ttl=10).acquire(timeout=5)

ok, answers = client.transaction(
    compare=[client.transactions.value("py/a") == "2"],
    success=[client.transactions.put("py/t", "yes"), client.transactions.get("py/a")],
    failure=[client.transactions.put("py/t", "no")],
)
assert ok and answers[1][0][0] == b"2", (ok, answers)
assert client.get("py/t")[0] == b"yes"
assert client.status().version
assert [m.name for m in client.members][0]
client.delete_prefix("py/")
print("all well")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_etcd3_works_through_a_gateway() -> Result<()> {
    let python = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../.meridian/tools/venv/bin/python"
    ));
    if !python.is_file() {
        println!("skipped: no {}; run `cargo xtask setup`", python.display());
        return Ok(());
    }
    if let Err(error) = script::run(&python, &["-c", "import etcd3"], "").await {
        println!("skipped: etcd3 is not installed there; run `cargo xtask setup` ({error:#})");
        return Ok(());
    }
    for kind in [Kind::Gateway(Release::newest()?), Kind::DevEu] {
        let target = Target::start(kind, &Wish::default()).await?;
        let said = script::run(&python, &["-c", SCRIPT, &target.address().to_string()], "").await?;
        ensure!(said.ends_with("all well\n"), "{said}");
    }
    Ok(())
}
