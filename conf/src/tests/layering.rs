//! Which layer wins, what the environment can say, and what comes out in the end.

use std::{fs, time::Duration};

use super::*;

#[test]
fn defaults_fill_what_the_file_leaves_out() {
    let conf = good(LEAST);
    let gateway = conf.roles.gateway().unwrap();
    assert_eq!(gateway.etcd.listen.to_string(), "127.0.0.1:2379");
    assert_eq!(gateway.etcd.advertise, Advertise::Listener);
    assert_eq!(
        (
            gateway.replica.history_bytes,
            gateway.replica.history_revisions
        ),
        (256 << 20, 1_000_000)
    );
    assert_eq!(gateway.replica.probe_interval, Duration::from_millis(100));
    assert_eq!(conf.admin.listen.to_string(), "127.0.0.1:19379");
    assert_eq!(
        (conf.log.format, conf.log.level.as_str()),
        (LogFormat::Text, "info")
    );
    assert_eq!(conf.node.drain_timeout, Duration::from_secs(10));
}

#[test]
fn the_host_name_is_the_default_name() {
    let around = Surroundings {
        host_name: Some("gw-7".into()),
        ..Surroundings::default()
    };
    let text = with("name = \"gateway-1\"", "");
    assert_eq!(
        parse(&text, Path::new("t"), &around).unwrap().node.name,
        "gw-7"
    );
    assert_eq!(
        parse(LEAST, Path::new("t"), &around).unwrap().node.name,
        "gateway-1"
    );
}

#[test]
fn the_environment_wins_over_the_file() {
    let conf = read(
        LEAST,
        &[
            ("MERIDIAN__NODE__REGION", "us"),
            ("MERIDIAN__HOME__ENDPOINTS", "http://a:1, http://b:2"),
            ("MERIDIAN__GATEWAY__ETCD__LISTEN", "0.0.0.0:5"),
            ("MERIDIAN__GATEWAY__ETCD__ADVERTISE", "http://gw:5"),
            ("MERIDIAN__GATEWAY__REPLICA__HISTORY_REVISIONS", "7"),
            ("MERIDIAN__GATEWAY__REPLICA__READY_STALENESS", "1m"),
            ("MERIDIAN__LOG__LEVEL", "warn,meridian_engine=debug"),
            ("MERIDIAN_LOG", "not ours"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    assert_eq!(conf.node.region, "us");
    let home = conf.roles.home().unwrap();
    let endpoints: Vec<String> = home.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(endpoints, ["http://a:1", "http://b:2"]);
    let gateway = conf.roles.gateway().unwrap();
    assert_eq!(gateway.etcd.listen.to_string(), "0.0.0.0:5");
    assert_eq!(
        gateway.etcd.advertise.urls(gateway.etcd.listen, None),
        ["http://gw:5"]
    );
    assert_eq!(gateway.replica.history_revisions, 7);
    assert_eq!(gateway.replica.ready_staleness, Duration::from_secs(60));
    assert_eq!(conf.log.level, "warn,meridian_engine=debug");
}

#[test]
fn the_environment_can_be_the_whole_configuration() {
    let conf = read(
        "",
        &[
            ("MERIDIAN__NODE__NAME", "gw"),
            ("MERIDIAN__NODE__REGION", "us"),
            ("MERIDIAN__HOME__ENDPOINTS", "http://a:1"),
            ("MERIDIAN__GATEWAY__ETCD__LISTEN", "127.0.0.1:0"),
        ],
    )
    .unwrap();
    assert_eq!(conf.roles.gateway().unwrap().etcd.listen.port(), 0);
}

#[test]
fn a_problem_from_the_environment_names_the_variable() {
    let lines = report(
        LEAST,
        &[
            ("MERIDIAN__GATEWAY__REPLICA__HISTORY_BYTES", "many"),
            ("MERIDIAN__GATWAY__ETCD__LISTEN", "127.0.0.1:1"),
            ("MERIDIAN__HOME__ENDPOINTS", "http://a:1,b"),
        ],
    );
    assert_eq!(
        lines,
        [
            r#"home.endpoints[1]: "b" has no scheme; give http://HOST:PORT or https://HOST:PORT, as in "http://127.0.0.1:2379" (set by MERIDIAN__HOME__ENDPOINTS)"#,
            r#"gateway.replica.history_bytes: "many" is not a whole number; give a whole number from 2097152 to 1099511627776 (set by MERIDIAN__GATEWAY__REPLICA__HISTORY_BYTES)"#,
            "gatway.etcd.listen: is not a known key; did you mean gateway? (set by MERIDIAN__GATWAY__ETCD__LISTEN)",
        ]
    );
}

#[test]
fn advertised_urls_follow_the_listener_unless_given() {
    let bound = "127.0.0.1:4711".parse().unwrap();
    let pair = FilePair {
        cert: "a".into(),
        key: "b".into(),
    };
    let tls = ServerTls {
        identity: pair,
        client_ca: None,
    };
    assert_eq!(
        Advertise::Listener.urls(bound, None),
        ["http://127.0.0.1:4711"]
    );
    assert_eq!(
        Advertise::Listener.urls(bound, Some(&tls)),
        ["https://127.0.0.1:4711"]
    );
}

#[test]
fn a_slip_of_the_pen_is_shown_with_line_and_column() {
    let error = read("[node]\nname = \"a\nregion = 5\n", &[])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("test.toml:2:"), "{error}");
    let error = read("[node]\nname = \"a\"\nname = \"b\"\n", &[])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("test.toml:3:1: duplicate key"), "{error}");
}

#[test]
fn a_missing_file_is_one_clear_line() {
    let error = load(Path::new("/nowhere/gateway.toml"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "/nowhere/gateway.toml: cannot be read (No such file or directory (os error 2)); give a TOML file"
    );
}

#[test]
fn the_effective_configuration_reads_back_as_itself() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["ca", "cert", "key"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    let text = r#"
        [node]
        region = "eu"
        [home]
        endpoints = ["https://a:1", "https://[::1]:2"]
        [home.tls]
        ca = "ca"
        cert = "cert"
        key = "key"
        [gateway.etcd]
        listen = "0.0.0.0:0"
        advertise = ["http://x:1", "http://y:1"]
        [gateway.etcd.tls]
        cert = "cert"
        key = "key"
        client_ca = "ca"
        [log]
        format = "json"
    "#;
    let host_name = Some("gw".to_owned());
    let folder = folder.path().to_owned();
    let around = Surroundings {
        environment: HashMap::new(),
        host_name,
        folder,
    };
    let conf = parse(text, Path::new("t"), &around).unwrap();
    let effective = conf.effective();
    assert_eq!(
        parse(&effective, Path::new("t"), &Surroundings::default()).unwrap(),
        conf,
        "{effective}"
    );
    assert_eq!(good(&good(LEAST).effective()), good(LEAST));
}

/// The examples, in a folder of their own where the files are that `meridian pki init` makes.
fn examples() -> (tempfile::TempDir, Vec<std::path::PathBuf>) {
    let root = tempfile::tempdir().unwrap();
    let to = root.path().join("conf/examples");
    fs::create_dir_all(&to).unwrap();
    for file in [
        "ca.crt",
        "us/hub-1.crt",
        "us/hub-1.key",
        "eu/gateway-1.crt",
        "eu/gateway-1.key",
    ] {
        let path = root.path().join(".meridian/pki").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let copy = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        let path = to.join(entry.file_name());
        fs::copy(entry.path(), &path).unwrap();
        path
    };
    let mut paths: Vec<_> = fs::read_dir(from).unwrap().map(copy).collect();
    paths.sort();
    (root, paths)
}

fn example(path: &Path) -> Conf {
    let text = fs::read_to_string(path).unwrap();
    let around = Surroundings {
        folder: path.parent().unwrap().to_owned(),
        ..Surroundings::default()
    };
    parse(&text, path, &around).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_example_is_a_configuration() {
    let (_root, paths) = examples();
    let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["gateway.toml", "home.toml", "region.toml"]);
    let confs: Vec<_> = paths.iter().map(|path| example(path)).collect();
    for conf in &confs {
        let effective = conf.effective();
        assert_eq!(&good(&effective), conf, "{effective}");
    }
}

#[test]
fn the_gateway_example_goes_straight_to_the_home() {
    let (_root, paths) = examples();
    let conf = example(&paths[0]);
    let Roles::Gateway { home, gateway } = conf.roles else {
        panic!("{:?}", conf.roles)
    };
    assert_eq!(gateway.etcd.listen.to_string(), "127.0.0.1:12379");
    assert_eq!(conf.admin.listen.to_string(), "127.0.0.1:19379");
    assert_eq!(home.endpoints[0].to_string(), "http://127.0.0.1:2379");
}

#[test]
fn the_pair_of_examples_fits_together_on_one_machine() {
    let (_root, paths) = examples();
    let (at_home, in_region) = (example(&paths[1]), example(&paths[2]));
    let Roles::Hub { hub, gateway, .. } = &at_home.roles else {
        panic!("{:?}", at_home.roles)
    };
    let Roles::Region {
        uplink,
        gateway: far,
        ..
    } = &in_region.roles
    else {
        panic!("{:?}", in_region.roles)
    };
    assert_eq!(uplink.hubs[0].to_string(), hub.listen.to_string());
    assert_ne!(uplink.listen, hub.listen);
    assert_eq!(far.etcd.listen.to_string(), "127.0.0.1:12379");
    let near = gateway.as_ref().unwrap().etcd.listen;
    let tcp = [
        near,
        far.etcd.listen,
        at_home.admin.listen,
        in_region.admin.listen,
    ];
    let ports: std::collections::BTreeSet<u16> = tcp.iter().map(|at| at.port()).collect();
    assert_eq!(ports.len(), tcp.len(), "{tcp:?}");
    assert!(!ports.contains(&2379), "that one is etcd's: {tcp:?}");
    assert_eq!(
        (&*at_home.node.region, &*at_home.node.name),
        ("us", "hub-1")
    );
    assert_eq!(
        (&*in_region.node.region, &*in_region.node.name),
        ("eu", "gateway-1")
    );
}
