//! Which sections go together, and every field of `[hub]` and `[link]`.

use super::*;

const LINK: &str = r#"
[link]
ca = "Cargo.toml"
cert = "Cargo.toml"
key = "Cargo.toml"
"#;

/// The least hub: no door.
const HUB: &str = r#"
[node]
name = "hub-1"
region = "us"
[home]
endpoints = ["http://127.0.0.1:2379"]
[hub]
"#;

/// The least node behind a hub.
const REGION: &str = r#"
[node]
name = "gateway-1"
region = "eu"
[gateway.etcd]
"#;

const HUBS: &str = "hubs = [\"hub:7379\"]\n";

fn hub() -> String {
    format!("{HUB}{LINK}")
}

fn region() -> String {
    format!("{REGION}{LINK}{HUBS}")
}

#[track_caller]
fn check(text: &str, wanted: &[&str]) {
    assert_eq!(report(text, &[]), wanted, "in:\n{text}");
}

#[test]
fn a_hub_alone_has_no_door() {
    let conf = good(&hub());
    let Roles::Hub {
        hub,
        link,
        gateway: None,
        ..
    } = &conf.roles
    else {
        panic!("{:?}", conf.roles)
    };
    assert_eq!(hub.listen.to_string(), "127.0.0.1:7379");
    assert_eq!(link.congestion, Congestion::Cubic);
    assert_eq!(link.window.bytes, 64 << 20);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    assert_eq!((&link.ca, &link.identity.key), (&file, &file));
    assert_eq!(good(&conf.effective()), conf, "{}", conf.effective());
}

#[test]
fn a_hub_can_have_a_door_too() {
    let conf = good(&format!("{}\n[gateway.etcd]", hub()));
    assert!(conf.roles.gateway().is_some());
    assert!(conf.roles.hub().is_some() && conf.roles.home().is_some());
    assert_eq!(good(&conf.effective()), conf, "{}", conf.effective());
}

#[test]
fn a_node_behind_a_hub_needs_no_home() {
    let conf = good(&region());
    let Roles::Region { uplink, .. } = &conf.roles else {
        panic!("{:?}", conf.roles)
    };
    assert_eq!(uplink.hubs[0].to_string(), "hub:7379");
    assert_eq!(uplink.listen.to_string(), "127.0.0.1:7380");
    let bound = "127.0.0.1:5".parse().unwrap();
    assert_eq!(uplink.relay_address(bound), "127.0.0.1:5");
    assert_eq!(conf.roles.home(), None);
    assert_eq!(good(&conf.effective()), conf, "{}", conf.effective());
}

#[test]
fn every_key_of_a_link_reads_back() {
    let text = format!(
        "{REGION}{LINK}\
         hubs = [\"hub-1:7379\", \"[::1]:7379\"]\n\
         listen = \"0.0.0.0:7380\"\n\
         advertise = \"gateway-1.eu:7380\"\n\
         congestion = \"newreno\"\n\
         [link.window]\nbytes = 8388608\n"
    );
    let conf = good(&text);
    let uplink = conf.roles.uplink().unwrap();
    assert_eq!(uplink.relay_address(uplink.listen), "gateway-1.eu:7380");
    assert_eq!(conf.roles.link().unwrap().congestion, Congestion::NewReno);
    assert_eq!(good(&conf.effective()), conf, "{}", conf.effective());
}

#[test]
fn a_node_behind_a_hub_must_not_have_a_home() {
    let wanted = "home: is given, but so is link.hubs, and calls go through the hub, which alone \
                  needs to reach the home; drop [home], or drop [link] to go to the home directly";
    let both = format!("{}\n[home]\nendpoints = [\"http://a:1\"]", region());
    check(&both, &[wanted]);
    let variable = [("MERIDIAN__HOME__ENDPOINTS", "http://a:1")];
    let wanted = wanted.replace("home: is given", "home.endpoints: is given");
    assert_eq!(
        report(&region(), &variable),
        [format!("{wanted} (set by MERIDIAN__HOME__ENDPOINTS)")]
    );
}

#[test]
fn a_hub_needs_its_home_and_its_certificates() {
    check(
        "[node]\nname = \"h\"\nregion = \"us\"\n[hub]",
        &[
            "home: is missing, and a hub stands beside the home; \
             add [home] with the endpoints that writes go to",
            "link: is missing, and a hub talks to other regions over mutual TLS only; \
             add [link] with ca, cert and key; `meridian pki init` makes them",
        ],
    );
    check(
        &format!("{HUB}\n[link]"),
        &[
            "link.ca: is missing; give the authority that all nodes trust; \
             `meridian pki init` makes one",
            "link.cert: is missing; give this node's certificate; `meridian pki issue` makes one",
            "link.key: is missing; give the key that cert belongs to",
        ],
    );
}

#[test]
fn a_hub_is_behind_no_hub() {
    let listens = "is given, but this node is a hub, and nodes of all regions come to hub.listen";
    check(
        &format!("{}{HUBS}listen = \"127.0.0.1:1\"\nadvertise = 5\n", hub()),
        &[
            "link.hubs: is given, but this node is a hub itself, and a hub goes straight to the \
             home; drop it, or drop [hub]",
            &format!("link.listen: {listens}; drop it"),
            &format!("link.advertise: {listens}; drop it"),
        ],
    );
}

#[test]
fn a_link_leads_somewhere() {
    let wanted = "link.hubs: is missing, and this node is no hub, so [link] leads nowhere; give \
                  the hubs' addresses, as in [\"hub-1.us.example.org:7379\"], add [hub], or drop \
                  [link]";
    check(&format!("{LEAST}{LINK}"), &[wanted]);
    check(&format!("{REGION}{LINK}"), &[wanted]);
    check(
        REGION,
        &["home: is missing; add [home] with the endpoints that writes go to"],
    );
}

#[test]
fn a_node_has_a_role() {
    let no_role = "gateway: is missing, so this node has no role; \
                   add [gateway.etcd] to serve etcd clients, or [hub] to serve other regions";
    check(&region().replace("[gateway.etcd]\n", ""), &[no_role]);
    check(
        "[node]\nname = \"a\"\nregion = \"us\"",
        &[
            "home: is missing; add [home] with the endpoints that writes go to",
            no_role,
        ],
    );
}

#[test]
fn hubs_are_hosts_and_ports() {
    let right = "give HOST:PORT, as in \"hub-1.us.example.org:7379\"";
    for (value, path, wrong) in [
        ("\"hub\"", "hubs[0]", "\"hub\" has no port from 1 to 65535"),
        (
            "[\"a:1\", \"https://b:1\"]",
            "hubs[1]",
            "\"https://b:1\" has a scheme",
        ),
        ("[5]", "hubs[0]", "is a number, not a text"),
    ] {
        let text = region().replace("[\"hub:7379\"]", value);
        check(&text, &[&format!("link.{path}: {wrong}; {right}")]);
    }
    let text = region().replace("[\"hub:7379\"]", "[]");
    check(&text, &["link.hubs: is empty; give one entry at least"]);
    let text = region().replace("hub:7379", "127.0.0.1:7380");
    check(
        &text,
        &[
            "link.hubs[0]: 127.0.0.1:7380 is where this node itself serves its region; \
           give the address of a hub",
        ],
    );
    let text = format!("{}advertise = \"a\"\n", region());
    check(
        &text,
        &[&format!(
            "link.advertise: \"a\" has no port from 1 to 65535; {right}"
        )],
    );
}

#[test]
fn what_listens_everywhere_says_where_it_is_reached() {
    let text = format!("{}listen = \"[::]:7380\"\n", region());
    check(
        &text,
        &[
            "link.advertise: is missing, and other nodes cannot connect to [::]:7380; \
           give the address they use, as in \"gateway-1.eu.example.org:7380\"",
        ],
    );
    let right = "give ADDRESS:PORT, as in \"127.0.0.1:2379\" or \"[::]:2379\"";
    for (text, path) in [
        (format!("{}listen = \"a:1\"\n", region()), "link"),
        (hub().replace("[hub]", "[hub]\nlisten = \"a:1\""), "hub"),
    ] {
        check(
            &text,
            &[&format!(
                "{path}.listen: \"a:1\" is not an IP address and a port; {right}"
            )],
        );
    }
}

#[test]
fn links_have_files_a_congestion_controller_and_a_window() {
    for key in ["ca", "cert", "key"] {
        let text = hub().replace(
            &format!("{key} = \"Cargo.toml\""),
            &format!("{key} = \"none.pem\""),
        );
        let gone = Path::new(env!("CARGO_MANIFEST_DIR")).join("none.pem");
        check(
            &text,
            &[&format!(
                "link.{key}: {} cannot be read (No such file or directory (os error 2)); \
                 give the path of a PEM file that this user may read",
                gone.display()
            )],
        );
    }
    for name in ["cubic", "bbr", "newreno"] {
        good(&format!("{}congestion = \"{name}\"\n", hub()));
    }
    check(
        &format!("{}congestion = \"reno\"\n", hub()),
        &[
            "link.congestion: \"reno\" is no congestion controller of ours; \
           give \"cubic\", \"bbr\" or \"newreno\"",
        ],
    );
    for value in ["8388607", "68719476737"] {
        check(
            &format!("{}[link.window]\nbytes = {value}\n", hub()),
            &[&format!(
                "link.window.bytes: {value} is out of range; \
                 give a whole number from 8388608 to 68719476736"
            )],
        );
    }
    check(
        &format!("{}[link.windw]\n", hub()),
        &["link.windw: is not a known key; did you mean window?"],
    );
}

#[test]
fn the_environment_can_put_a_node_behind_a_hub() {
    let conf = read(
        "",
        &[
            ("MERIDIAN__NODE__NAME", "gw"),
            ("MERIDIAN__NODE__REGION", "eu"),
            ("MERIDIAN__LINK__HUBS", "hub-1:7379, hub-2:7379"),
            ("MERIDIAN__LINK__CA", "Cargo.toml"),
            ("MERIDIAN__LINK__CERT", "Cargo.toml"),
            ("MERIDIAN__LINK__KEY", "Cargo.toml"),
            ("MERIDIAN__LINK__WINDOW__BYTES", "16777216"),
            ("MERIDIAN__GATEWAY__ETCD__LISTEN", "127.0.0.1:0"),
        ],
    )
    .unwrap();
    assert_eq!(conf.roles.uplink().unwrap().hubs.len(), 2);
    assert_eq!(conf.roles.link().unwrap().window.bytes, 16 << 20);
}

#[test]
fn problems_of_shape_and_of_fields_are_reported_together() {
    let text = "[node]\nname = \"\"\nregion = \"us\"\n[home]\nendpoints = \"x\"\n[hub]\nlisten = 1\n\
                [link]\nhubs = [\"a:1\"]\nca = \"none\"\n[log]\nlevel = 1\n";
    let lines = report(text, &[]);
    let paths: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        paths,
        [
            "node.name",
            "home.endpoints[0]",
            "hub.listen",
            "link.hubs",
            "link.ca",
            "link.cert",
            "link.key",
            "log.level"
        ]
    );
}
