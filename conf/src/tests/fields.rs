//! One wrong value, at least, for every field of the schema.

use super::*;

/// The one problem of `text`.
#[track_caller]
fn check(text: &str, wanted: &str) {
    assert_eq!(report(text, &[]), [wanted], "in:\n{text}");
}

const RIGHT_NAME: &str =
    "give 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or a digit";
const RIGHT_ADDRESS: &str = r#"give ADDRESS:PORT, as in "127.0.0.1:2379" or "[::]:2379""#;
const RIGHT_URL: &str =
    r#"give http://HOST:PORT or https://HOST:PORT, as in "http://127.0.0.1:2379""#;
const RIGHT_FILE: &str = "give the path of a PEM file that this user may read";
const RIGHT_WAIT: &str = r#"give a duration from 10ms to 1h, as in "10s""#;

#[test]
fn names_are_short_and_plain() {
    for (value, wrong) in [
        (r#""""#, "is empty"),
        (r#""a b""#, r#""a b" has ' ' in it"#),
        (r#""-a""#, r#""-a" begins with a punctuation mark"#),
        ("7", "is a number, not a text"),
        ("[\"a\"]", "is a list, not a text"),
    ] {
        check(
            &with("\"gateway-1\"", value),
            &format!("node.name: {wrong}; {RIGHT_NAME}"),
        );
        check(
            &with("\"eu\"", value),
            &format!("node.region: {wrong}; {RIGHT_NAME}"),
        );
    }
    let long = "x".repeat(64);
    let text = with("\"eu\"", &format!("\"{long}\""));
    check(
        &text,
        &format!("node.region: is 64 characters long; {RIGHT_NAME}"),
    );
}

#[test]
fn what_has_no_default_is_asked_for() {
    check(
        &with("name = \"gateway-1\"", ""),
        "node.name: is missing; give this node a name",
    );
    check(
        &with("region = \"eu\"", ""),
        "node.region: is missing; give the name of its region",
    );
    let text = with("endpoints = [\"http://127.0.0.1:2379\"]", "");
    check(
        &text,
        r#"home.endpoints: is missing; give the home's client URLs, as in ["http://127.0.0.1:2379"]"#,
    );
    let text = with("[gateway.etcd]", "");
    check(
        &text,
        "gateway: is missing, so this node has no role; \
         add [gateway.etcd] to serve etcd clients, or [hub] to serve other regions",
    );
}

#[test]
fn waits_are_durations_of_a_sensible_length() {
    for (section, key) in [
        ("node", "drain_timeout"),
        ("home", "call_timeout"),
        ("gateway.replica", "probe_interval"),
        ("gateway.replica", "ready_staleness"),
    ] {
        for (value, wrong) in [
            ("\"soon\"", "\"soon\" is not a duration"),
            ("\"0s\"", "\"0s\" is out of range"),
            ("\"2h\"", "\"2h\" is out of range"),
            ("10", "is a number, not a text"),
        ] {
            let text = set(section, key, value);
            check(&text, &format!("{section}.{key}: {wrong}; {RIGHT_WAIT}"));
        }
    }
}

#[test]
fn progress_is_told_every_ten_minutes_unless_told_otherwise() {
    let interval = |text: &str| gateway(text).etcd.progress_notify_interval;
    assert_eq!(interval(LEAST), std::time::Duration::from_secs(600));
    let text = set("gateway.etcd", "progress_notify_interval", "\"100ms\"");
    assert_eq!(interval(&text), std::time::Duration::from_millis(100));
    for (value, wrong) in [
        ("\"99ms\"", "\"99ms\" is out of range"),
        ("\"2days\"", "\"2days\" is out of range"),
        ("\"often\"", "\"often\" is not a duration"),
        ("600", "is a number, not a text"),
    ] {
        check(
            &set("gateway.etcd", "progress_notify_interval", value),
            &format!(
                "gateway.etcd.progress_notify_interval: {wrong}; \
                 give a duration from 100ms to 1day, as in \"10s\""
            ),
        );
    }
}

/// `LEAST` with one more key.
fn set(section: &str, key: &str, value: &str) -> String {
    let header = format!("[{section}]\n");
    match LEAST.contains(&header) {
        true => LEAST.replace(&header, &format!("{header}{key} = {value}\n")),
        false => format!("{LEAST}\n{header}{key} = {value}\n"),
    }
}

#[test]
fn endpoints_are_client_urls() {
    for (value, path, wrong) in [
        (
            "[\"127.0.0.1:2379\"]",
            "home.endpoints[0]",
            "\"127.0.0.1:2379\" has no scheme",
        ),
        (
            "\"ftp://a:1\"",
            "home.endpoints[0]",
            "\"ftp://a:1\" has an unknown scheme",
        ),
        (
            "[\"http://a:1\", \"http://b\"]",
            "home.endpoints[1]",
            "\"http://b\" has no port from 1 to 65535",
        ),
        (
            "[\"http://root:secret@a:1\"]",
            "home.endpoints[0]",
            "the URL has credentials in it",
        ),
        ("[5]", "home.endpoints[0]", "is a number, not a text"),
    ] {
        let text = with("[\"http://127.0.0.1:2379\"]", value);
        check(&text, &format!("{path}: {wrong}; {RIGHT_URL}"));
    }
    let text = with("[\"http://127.0.0.1:2379\"]", "[]");
    check(&text, "home.endpoints: is empty; give one entry at least");
    let text = with(
        "[\"http://127.0.0.1:2379\"]",
        "[\"http://a:1\", \"http://A:1/\"]",
    );
    check(
        &text,
        "home.endpoints[1]: is given twice; keep one of the two",
    );
}

#[test]
fn listen_addresses_are_ip_and_port() {
    for (value, wrong) in [
        (
            "\"localhost:2379\"",
            "\"localhost:2379\" is not an IP address and a port",
        ),
        (
            "\"127.0.0.1\"",
            "\"127.0.0.1\" is not an IP address and a port",
        ),
        (
            "\"127.0.0.1:70000\"",
            "\"127.0.0.1:70000\" is not an IP address and a port",
        ),
        ("2379", "is a number, not a text"),
    ] {
        let text = set("gateway.etcd", "listen", value);
        check(
            &text,
            &format!("gateway.etcd.listen: {wrong}; {RIGHT_ADDRESS}"),
        );
        let text = set("admin", "listen", value);
        check(&text, &format!("admin.listen: {wrong}; {RIGHT_ADDRESS}"));
    }
    let text = set("admin", "listen", "\"127.0.0.1:2379\"");
    check(
        &text,
        "admin.listen: 127.0.0.1:2379 is taken by gateway.etcd.listen; give one of the two another port",
    );
    let text = with(
        "[gateway.etcd]\n",
        "[gateway.etcd]\nlisten = \"[::]:19379\"\nadvertise = \"http://a:1\"\n",
    );
    check(
        &text,
        "admin.listen: 127.0.0.1:19379 is taken by gateway.etcd.listen, which is [::]:19379; give one of the two another port",
    );
    assert_eq!(
        good(&set("admin", "listen", "\"127.0.0.1:0\""))
            .admin
            .listen
            .port(),
        0
    );
}

#[test]
fn advertised_urls_are_given_when_they_cannot_be_guessed() {
    let text = set("gateway.etcd", "listen", "\"0.0.0.0:2379\"");
    check(
        &text,
        r#"gateway.etcd.advertise: is missing, and clients cannot connect to 0.0.0.0:2379; give the URL they use, as in "http://gateway-1.example.org:2379""#,
    );
    let text = set("gateway.etcd", "advertise", "\"a:1\"");
    check(
        &text,
        &format!("gateway.etcd.advertise[0]: \"a:1\" has no scheme; {RIGHT_URL}"),
    );
}

#[test]
fn files_must_be_there() {
    let missing = Path::new(env!("CARGO_MANIFEST_DIR")).join("none.pem");
    let gone = format!(
        "{} cannot be read (No such file or directory (os error 2))",
        missing.display()
    );
    let https = with("http://127.0.0.1", "https://127.0.0.1");
    for (tables, path) in [
        ("[home.tls]\nca = \"none.pem\"", "home.tls.ca"),
        (
            "[home.tls]\ncert = \"none.pem\"\nkey = \"Cargo.toml\"",
            "home.tls.cert",
        ),
        (
            "[home.tls]\ncert = \"Cargo.toml\"\nkey = \"none.pem\"",
            "home.tls.key",
        ),
        (
            "[gateway.etcd.tls]\ncert = \"none.pem\"\nkey = \"Cargo.toml\"",
            "gateway.etcd.tls.cert",
        ),
        (
            "[gateway.etcd.tls]\ncert = \"Cargo.toml\"\nkey = \"none.pem\"",
            "gateway.etcd.tls.key",
        ),
        (
            "[gateway.etcd.tls]\ncert = \"Cargo.toml\"\nkey = \"Cargo.toml\"\nclient_ca = \"none.pem\"",
            "gateway.etcd.tls.client_ca",
        ),
    ] {
        check(
            &format!("{https}\n{tables}"),
            &format!("{path}: {gone}; {RIGHT_FILE}"),
        );
    }
    let folder = format!("{https}\n[home.tls]\nca = \"src\"");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    check(
        &folder,
        &format!(
            "home.tls.ca: {} is not a file; {RIGHT_FILE}",
            path.display()
        ),
    );
    check(
        &format!("{https}\n[home.tls]\nca = 5"),
        &format!("home.tls.ca: is a number, not a text; {RIGHT_FILE}"),
    );
    check(
        &format!("{https}\n[home.tls]\nca = \"\""),
        &format!("home.tls.ca: is empty; {RIGHT_FILE}"),
    );
}

#[test]
fn a_certificate_goes_with_its_key() {
    let https = with("http://127.0.0.1", "https://127.0.0.1");
    let text = format!("{https}\n[home.tls]\ncert = \"Cargo.toml\"");
    check(
        &text,
        "home.tls.key: is missing; give the key that cert belongs to",
    );
    let text = format!("{https}\n[home.tls]\nkey = \"Cargo.toml\"");
    check(
        &text,
        "home.tls.cert: is missing; give the certificate of key",
    );
    let text = format!("{LEAST}\n[gateway.etcd.tls]\ncert = \"Cargo.toml\"");
    check(
        &text,
        "gateway.etcd.tls.key: is missing; give the key that cert belongs to",
    );
    let text = format!("{LEAST}\n[home.tls]\nca = \"Cargo.toml\"");
    check(
        &text,
        "home.tls: is given, but no endpoint is https; make the endpoints https:// or drop [home.tls]",
    );
    assert_eq!(good(&https).roles.home().unwrap().tls, None);
}

#[test]
fn history_is_counted_in_whole_numbers_above_zero() {
    for (key, most) in [
        ("history_bytes", "from 2097152 to 1099511627776"),
        ("history_revisions", "from 1 to 1000000000"),
    ] {
        for (value, wrong) in [
            ("0", "0 is out of range"),
            ("-1", "-1 is out of range"),
            ("9000000000000", "9000000000000 is out of range"),
            ("1.5", "is a fraction, not a whole number"),
            ("\"1\"", "is a text, not a whole number"),
        ] {
            let text = set("gateway.replica", key, value);
            check(
                &text,
                &format!("gateway.replica.{key}: {wrong}; give a whole number {most}"),
            );
        }
    }
}

#[test]
fn logs_have_a_known_format_and_level() {
    check(
        &set("log", "format", "\"xml\""),
        r#"log.format: "xml" is not a log format; give "text" or "json""#,
    );
    check(
        &set("log", "format", "true"),
        r#"log.format: is true or false, not a text; give "text" or "json""#,
    );
    let right = r#"give off, error, warn, info, debug or trace, or such per target: "info,meridian_engine=debug""#;
    check(
        &set("log", "level", "\"loud\""),
        &format!("log.level: \"loud\" is not a log level; {right}"),
    );
    check(
        &set("log", "level", "\"info,=debug\""),
        &format!("log.level: \"=debug\" names no log target; {right}"),
    );
    let level = "warn,meridian_engine=debug";
    assert_eq!(
        good(&set("log", "level", &format!("\"{level}\"")))
            .log
            .level,
        level
    );
}

#[test]
fn unknown_keys_are_reported_with_the_nearest_known_one() {
    check(
        &set("node", "regoin", "\"x\""),
        "node.regoin: is not a known key; did you mean region?",
    );
    check(
        &set("node", "Name", "\"x\""),
        "node.Name: is not a known key; did you mean name?",
    );
    check(
        &format!("{LEAST}\n[mirror]"),
        "mirror: is not a known key; known here: node, home, hub, link, gateway, admin, log",
    );
    let text = set("gateway.replica", "history_byte", "5");
    check(
        &text,
        "gateway.replica.history_byte: is not a known key; did you mean history_bytes?",
    );
}

#[test]
fn a_value_in_place_of_a_table_is_reported() {
    check(
        &format!("log = 5\n{LEAST}"),
        "log: is a number, not a table; give a table, as in [log]",
    );
    let text = set("gateway.etcd", "tls", "true");
    check(
        &text,
        "gateway.etcd.tls: is true or false, not a table; give a table, as in [gateway.etcd.tls]",
    );
}

#[test]
fn all_problems_are_reported_together() {
    let text = "[node]\nname = \"\"\n[home]\nendpoints = \"x\"\n[gateway.etcd]\nlisten = 1\n[log]\nlevel = 1\n";
    let paths: Vec<String> = report(text, &[])
        .into_iter()
        .map(|line| line.split_once(": ").unwrap().0.to_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "node.name",
            "node.region",
            "home.endpoints[0]",
            "gateway.etcd.listen",
            "log.level"
        ]
    );
}
