//! Reads `[gateway]`: the etcd door and the local copy behind it.

use std::{path::Path, time::Duration};

use super::{NO_DEFAULT, wait};
use crate::{
    schema::{Advertise, Etcd, FilePair, Gateway, Replica, ServerTls},
    section::{Section, Wrong},
    values,
};

/// A window smaller than this could not hold one request of etcd's default limit (1.5 MiB);
/// larger than 1 TiB is a slip of the unit.
const HISTORY_BYTES: (u64, u64) = (2 << 20, 1 << 40);

/// One revision at least; a thousand million take 200 GB in their index alone.
const HISTORY_REVISIONS: (u64, u64) = (1, 1_000_000_000);

/// The least is that of etcd's `--watch-progress-notify-interval`; after a day a client that relies
/// on it has long been compacted away.
const PROGRESS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(86_400));

pub(super) fn read(gateway: &mut Section<'_>, folder: &Path) -> Option<Gateway> {
    let etcd = gateway.required_section("etcd", "the door for etcd clients", |s| {
        read_etcd(s, folder)
    });
    let replica = gateway.required_section("replica", "the local copy", read_replica);
    Some(Gateway {
        etcd: etcd?,
        replica: replica?,
    })
}

fn read_etcd(etcd: &mut Section<'_>, folder: &Path) -> Option<Etcd> {
    let listen = etcd.required("listen", NO_DEFAULT, values::address);
    let urls = etcd.list("advertise", values::endpoint);
    let (least, most) = PROGRESS;
    let progress_notify_interval = etcd.required("progress_notify_interval", NO_DEFAULT, |raw| {
        values::duration(raw, least, most)
    });
    let tls = etcd.section("tls", |s| read_server_tls(s, folder));
    let advertise = urls.map(|urls| urls.map_or(Advertise::Listener, Advertise::Urls));
    if let (Some(listen), Some(Advertise::Listener)) = (&listen, &advertise)
        && listen.ip().is_unspecified()
    {
        let wrong = format!("is missing, and clients cannot connect to {listen}");
        let right = "give the URL they use, as in \"http://gateway-1.example.org:2379\"";
        etcd.report("advertise", false, Wrong::new(wrong, right));
        return None;
    }
    Some(Etcd {
        listen: listen?,
        advertise: advertise?,
        progress_notify_interval: progress_notify_interval?,
        tls: tls?,
    })
}

fn read_server_tls(tls: &mut Section<'_>, folder: &Path) -> Option<ServerTls> {
    let cert = tls.required("cert", "give the server's certificate", |raw| {
        values::file(raw, folder)
    });
    let key = tls.required("key", "give the key that cert belongs to", |raw| {
        values::file(raw, folder)
    });
    let client_ca = tls.optional("client_ca", |raw| values::file(raw, folder));
    Some(ServerTls {
        identity: FilePair {
            cert: cert?,
            key: key?,
        },
        client_ca: client_ca?,
    })
}

fn read_replica(replica: &mut Section<'_>) -> Option<Replica> {
    let (least, most) = HISTORY_BYTES;
    let history_bytes = replica.required("history_bytes", NO_DEFAULT, |raw| {
        values::count(raw, least, most)
    });
    let (least, most) = HISTORY_REVISIONS;
    let history_revisions = replica.required("history_revisions", NO_DEFAULT, |raw| {
        values::count(raw, least, most)
    });
    let probe_interval = wait(replica, "probe_interval");
    let ready_staleness = wait(replica, "ready_staleness");
    Some(Replica {
        history_bytes: history_bytes?,
        history_revisions: history_revisions?,
        probe_interval: probe_interval?,
        ready_staleness: ready_staleness?,
    })
}
