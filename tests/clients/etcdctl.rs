//! etcdctl of every installed release, through a gateway before the newest etcd.

use std::path::Path;

use anyhow::{Result, ensure};
use meridian_tests::{
    release::Release,
    target::{Kind, Target, Wish},
    wait::{SOON, eventually},
};

use crate::script::{self, Running};

/// One etcdctl pointed at one target.
struct Ctl<'a> {
    program: &'a Path,
    endpoints: String,
}

impl Ctl<'_> {
    async fn with(&self, words: &[&str], input: &str) -> Result<String> {
        let words = [&[self.endpoints.as_str()], words].concat();
        script::run(self.program, &words, input).await
    }

    async fn run(&self, line: &str) -> Result<String> {
        self.with(&line.split(' ').collect::<Vec<_>>(), "").await
    }

    async fn says(&self, line: &str, expected: &str) -> Result<()> {
        let said = self.run(line).await?;
        ensure!(
            said == expected,
            "`etcdctl {line}` says {said:?}, not {expected:?}"
        );
        Ok(())
    }

    fn hold(&self, line: &str) -> Result<Running> {
        let mut words = vec![self.endpoints.as_str()];
        words.extend(line.split(' '));
        Running::start(self.program, &words)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_of_every_release_works_through_a_gateway_before_every_release() -> Result<()> {
    for home in Release::installed()? {
        let target = Target::start(Kind::Gateway(home), &Wish::default()).await?;
        for client in Release::installed()? {
            println!(
                "etcdctl {} through a gateway before {}",
                client.version, home.version
            );
            all(&target, client, home).await?;
        }
    }
    Ok(())
}

/// An endpoint may be given as a URL, and a client of 3.4 then names an authority that is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_may_be_urls() -> Result<()> {
    for kind in [Kind::Gateway(Release::newest()?), Kind::DevUs] {
        let target = Target::start(kind, &Wish::default()).await?;
        for client in Release::installed()? {
            println!("etcdctl {} by URL to {}", client.version, kind.name());
            let ctl = Ctl {
                program: &client.etcdctl,
                endpoints: format!("--endpoints=http://{}", target.address()),
            };
            keys(&ctl).await?;
            leases(&ctl).await?;
        }
    }
    Ok(())
}

/// The caller is a member: its calls go to the hub, its log comes from its delegate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_works_through_the_link() -> Result<()> {
    let home = Release::newest()?;
    let target = Target::start(Kind::Region(home), &Wish::default()).await?;
    for client in Release::installed()? {
        all(&target, client, home).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_works_on_both_regions_of_dev() -> Result<()> {
    for kind in [Kind::DevUs, Kind::DevEu] {
        let target = Target::start(kind, &Wish::default()).await?;
        for client in Release::installed()? {
            let ctl = Ctl {
                program: &client.etcdctl,
                endpoints: format!("--endpoints={}", target.address()),
            };
            keys(&ctl).await?;
            leases(&ctl).await?;
            locks(&ctl).await?;
            watches(&ctl).await?;
            ctl.run("endpoint status").await?;
            ctl.run("member list").await?;
        }
    }
    Ok(())
}

async fn all(target: &Target, client: &Release, home: &Release) -> Result<()> {
    let ctl = Ctl {
        program: &client.etcdctl,
        endpoints: format!("--endpoints={}", target.address()),
    };
    keys(&ctl).await?;
    leases(&ctl).await?;
    locks(&ctl).await?;
    watches(&ctl).await?;
    cluster(&ctl, target, home).await?;
    maintenance(&ctl).await
}

async fn keys(ctl: &Ctl<'_>) -> Result<()> {
    ctl.says("put greeting hello", "OK\n").await?;
    ctl.says("get greeting", "greeting\nhello\n").await?;
    ctl.says("put greeting bye --prev-kv", "OK\ngreeting\nhello\n")
        .await?;
    ctl.says("get greeting --consistency=s", "greeting\nbye\n")
        .await?;
    ctl.says("put greeting2 two", "OK\n").await?;
    ctl.says(
        "get --prefix greet --keys-only --order=DESCEND --sort-by=KEY",
        "greeting2\n\ngreeting\n\n",
    )
    .await?;
    ctl.says(
        "get --from-key greeting2 --limit=1 --print-value-only",
        "two\n",
    )
    .await?;
    let txn = "mod(\"greeting\") > \"0\"\n\nput greeting three\nget greeting\n\nput never x\n\n";
    let said = ctl.with(&["txn"], txn).await?;
    ensure!(
        said == "SUCCESS\n\nOK\n\ngreeting\nthree\n",
        "txn says {said:?}"
    );
    ctl.says("del --prefix greet", "2\n").await?;
    ctl.says("get --prefix greet", "").await
}

async fn leases(ctl: &Ctl<'_>) -> Result<()> {
    let granted = ctl.run("lease grant 100").await?;
    let id = granted.split(' ').nth(1).unwrap_or_default().to_owned();
    ensure!(
        granted == format!("lease {id} granted with TTL(100s)\n"),
        "grant says {granted:?}"
    );
    ctl.says(&format!("put leased x --lease={id}"), "OK\n")
        .await?;
    let kept = ctl.run(&format!("lease keep-alive --once {id}")).await?;
    ensure!(
        kept == format!("lease {id} keepalived with TTL(100)\n"),
        "keep-alive says {kept:?}"
    );
    let left = ctl.run(&format!("lease timetolive {id} --keys")).await?;
    ensure!(
        left.contains("granted with TTL(100s)") && left.contains("attached keys([leased])"),
        "{left:?}"
    );
    ensure!(
        ctl.run("lease list").await?.contains(&id),
        "the lease is not listed"
    );
    ctl.says(
        &format!("lease revoke {id}"),
        &format!("lease {id} revoked\n"),
    )
    .await?;
    ctl.says("get leased", "").await
}

async fn locks(ctl: &Ctl<'_>) -> Result<()> {
    // The lock is held while the command runs, and given back when it ends.
    let said = ctl.run("lock mutex echo held").await?;
    ensure!(said == "held\n", "lock says {said:?}");
    let mut holder = ctl.hold("lock mutex")?;
    ensure!(holder.line().await?.starts_with("mutex/"), "no lock key");
    let mut leader = ctl.hold("elect office me")?;
    ensure!(leader.line().await?.starts_with("office/"), "no office key");
    ensure!(leader.line().await? == "me", "not elected");
    let mut observer = ctl.hold("elect --listen office")?;
    observer.line().await?;
    ensure!(observer.line().await? == "me", "not observed");
    observer.interrupt().await?;
    leader.interrupt().await?;
    holder.interrupt().await?;
    eventually(SOON, "locks and offices are given back", || async {
        let left = ctl.run("get --prefix mutex --keys-only").await?
            + &ctl.run("get --prefix office --keys-only").await?;
        ensure!(left.is_empty(), "{left:?} is left");
        Ok(())
    })
    .await
}

/// Puts a key and gives the revision of that.
async fn put(ctl: &Ctl<'_>, line: &str) -> Result<String> {
    let said = ctl.run(&format!("put {line} --write-out=json")).await?;
    let header: serde_json::Value = serde_json::from_str(&said)?;
    Ok(header["header"]["revision"].to_string())
}

async fn watches(ctl: &Ctl<'_>) -> Result<()> {
    let first = put(ctl, "seen/a 1").await?;
    let mut watch = ctl.hold(&format!("watch --prefix seen --prev-kv --rev={first}"))?;
    ctl.run("put seen/a 2").await?;
    ctl.run("del seen/a").await?;
    let expected = [
        "PUT", "seen/a", "1", "PUT", "seen/a", "1", "seen/a", "2", "DELETE", "seen/a", "2",
        "seen/a", "",
    ];
    // The first put is a new key's: no key-value before it.
    for expected in expected {
        let line = watch.line().await?;
        ensure!(line == expected, "watch says {line:?}, not {expected:?}");
    }
    watch.interrupt().await
}

async fn cluster(ctl: &Ctl<'_>, target: &Target, home: &Release) -> Result<()> {
    let health = ctl.run("endpoint health").await?;
    ensure!(health.contains("is healthy"), "{health:?}");
    let status = ctl.run("endpoint status").await?;
    ensure!(status.contains(&home.version.to_string()), "{status:?}");
    let members = ctl.run("member list").await?;
    let own = target.address().to_string();
    ensure!(
        members.contains("started") && members.contains(&own),
        "{members:?} does not name {own}"
    );
    // Whoever follows the member list stays with us.
    let followed = ctl.run("endpoint status --cluster").await?;
    ensure!(followed.contains(&own), "{followed:?}");
    // clientv3 3.4 calls a member that is named by URL with the whole URL as `:authority`.
    let by_url = Ctl {
        program: ctl.program,
        endpoints: format!("--endpoints=http://{own}"),
    };
    for line in ["endpoint status", "endpoint hashkv", "endpoint health"] {
        let said = by_url.run(line).await?;
        ensure!(said.contains(&own), "`etcdctl {line}` says {said:?}");
    }
    let hash = ctl.run("endpoint hashkv").await?;
    ensure!(hash.contains(&own), "{hash:?}");
    Ok(())
}

async fn maintenance(ctl: &Ctl<'_>) -> Result<()> {
    ctl.says("alarm list", "").await?;
    ctl.run("defrag").await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("snapshot.db");
    ctl.run(&format!("snapshot save {}", file.display()))
        .await?;
    ensure!(file.metadata()?.len() > 4096, "the snapshot is too small");
    let revision = put(ctl, "compacted x").await?;
    ctl.says(
        &format!("compaction {revision}"),
        &format!("compacted revision {revision}\n"),
    )
    .await
}
