//! Walks the merged tree and builds a [`Conf`], collecting every problem.
//!
//! One function per section; each reads all its fields before it gives up, so that one run shows
//! all there is to mend. Checks between fields come last, and only over fields that are right.

use std::{cell::RefCell, collections::HashMap, path::Path, time::Duration};

use config::Value;

use crate::{
    endpoint::Scheme,
    problem::Problems,
    schema::{
        Admin, Advertise, ClientTls, Conf, Etcd, FilePair, Gateway, Home, Log, Node, Replica,
        ServerTls,
    },
    section::{Section, Wrong},
    values,
};

/// A window smaller than this could not hold one request of etcd's default limit (1.5 MiB);
/// larger than 1 TiB is a slip of the unit.
const HISTORY_BYTES: (u64, u64) = (2 << 20, 1 << 40);

/// One revision at least; a thousand million take 200 GB in their index alone.
const HISTORY_REVISIONS: (u64, u64) = (1, 1_000_000_000);

/// Waits a person can mean: a hundredth of a second would fail every call, an hour hides a fault.
const WAIT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));

/// The least is that of etcd's `--watch-progress-notify-interval`; after a day a client that relies
/// on it has long been compacted away.
const PROGRESS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(86_400));

const NO_DEFAULT: &str = "a default is missing from layers/defaults*.toml";

/// Builds the configuration from the merged layers; relative file names count from `folder`.
pub(crate) fn read(table: HashMap<String, Value>, folder: &Path) -> Result<Conf, Problems> {
    let problems = RefCell::new(Vec::new());
    let mut root = Section::root(table, &problems);
    let conf = read_root(&mut root, folder);
    root.finish();
    match (conf, problems.into_inner()) {
        (Some(conf), problems) if problems.is_empty() => Ok(conf),
        (_, problems) => Err(Problems(problems)),
    }
}

fn read_root(root: &mut Section<'_>, folder: &Path) -> Option<Conf> {
    let node = root.required_section("node", "to say who this node is", read_node);
    let home = root.required_section("home", "to say where writes go", |s| read_home(s, folder));
    let gateway = root.section("gateway", |s| read_gateway(s, folder));
    let admin = root.required_section("admin", "to say where probes ask", read_admin);
    let log = root.required_section("log", "to say what is logged", read_log);
    if matches!(gateway, Some(None)) {
        let right = "add [gateway.etcd], the one role there is";
        root.report(
            "gateway",
            false,
            Wrong::new("is missing, so this node has no role", right),
        );
    }
    if let (Some(Some(gateway)), Some(admin)) = (&gateway, &admin) {
        check_ports(root, gateway, admin);
    }
    Some(Conf {
        node: node?,
        home: home?,
        gateway: gateway??,
        admin: admin?,
        log: log?,
    })
}

fn check_ports(root: &Section<'_>, gateway: &Gateway, admin: &Admin) {
    let same = gateway.etcd.listen == admin.listen && admin.listen.port() != 0;
    if same {
        let wrong = format!("{} is taken by gateway.etcd.listen", admin.listen);
        root.report(
            "admin.listen",
            false,
            Wrong::new(wrong, "give one of the two another port"),
        );
    }
}

fn read_node(node: &mut Section<'_>) -> Option<Node> {
    let name = node.required("name", "give this node a name", values::name);
    let region = node.required("region", "give the name of its region", values::name);
    let drain_timeout = wait(node, "drain_timeout");
    Some(Node {
        name: name?,
        region: region?,
        drain_timeout: drain_timeout?,
    })
}

fn read_home(home: &mut Section<'_>, folder: &Path) -> Option<Home> {
    let endpoints = home.list("endpoints", values::endpoint);
    if matches!(endpoints, Some(None)) {
        let right = "give the home's client URLs, as in [\"http://127.0.0.1:2379\"]";
        home.report("endpoints", false, Wrong::new("is missing", right));
    }
    let call_timeout = wait(home, "call_timeout");
    let tls = home.section("tls", |s| read_client_tls(s, folder));
    if let (Some(Some(endpoints)), Some(Some(_))) = (&endpoints, &tls)
        && endpoints
            .iter()
            .all(|endpoint| endpoint.scheme() == Scheme::Http)
    {
        let right = "make the endpoints https:// or drop [home.tls]";
        home.report(
            "tls",
            false,
            Wrong::new("is given, but no endpoint is https", right),
        );
    }
    Some(Home {
        endpoints: endpoints??,
        call_timeout: call_timeout?,
        tls: tls?,
    })
}

fn read_client_tls(tls: &mut Section<'_>, folder: &Path) -> Option<ClientTls> {
    let ca = tls.optional("ca", |raw| values::file(raw, folder));
    let cert = tls.optional("cert", |raw| values::file(raw, folder));
    let key = tls.optional("key", |raw| values::file(raw, folder));
    let identity = match (cert?, key?) {
        (Some(cert), Some(key)) => Some(FilePair { cert, key }),
        (None, None) => None,
        (Some(_), None) => {
            tls.report(
                "key",
                false,
                Wrong::new("is missing", "give the key that cert belongs to"),
            );
            return None;
        }
        (None, Some(_)) => {
            tls.report(
                "cert",
                false,
                Wrong::new("is missing", "give the certificate of key"),
            );
            return None;
        }
    };
    Some(ClientTls { ca: ca?, identity })
}

fn read_gateway(gateway: &mut Section<'_>, folder: &Path) -> Option<Gateway> {
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

fn read_admin(admin: &mut Section<'_>) -> Option<Admin> {
    let listen = admin.required("listen", NO_DEFAULT, values::address);
    Some(Admin { listen: listen? })
}

fn read_log(log: &mut Section<'_>) -> Option<Log> {
    let format = log.required("format", NO_DEFAULT, values::log_format);
    let level = log.required("level", NO_DEFAULT, values::log_level);
    Some(Log {
        format: format?,
        level: level?,
    })
}

fn wait(section: &mut Section<'_>, key: &'static str) -> Option<Duration> {
    let (least, most) = WAIT;
    section.required(key, NO_DEFAULT, |raw| values::duration(raw, least, most))
}
