//! Goal: what is issued is trusted for what it may be and for as long as it says, by the verifiers
//! that nodes use; files are kept and protected. Method: real files, rustls' own verifiers.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::*;

fn hub() -> Subject {
    Subject {
        node: node_name("us/hub-1").unwrap(),
        right: Right::Hub,
        days: 30,
    }
}

fn gateway() -> Subject {
    Subject {
        node: node_name("eu/gateway-1").unwrap(),
        right: Right::Node,
        days: 30,
    }
}

fn cert(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

fn roots(ca: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(cert(ca)).unwrap();
    Arc::new(roots)
}

fn in_days(days: u64) -> UnixTime {
    let now = UnixTime::now().as_secs();
    UnixTime::since_unix_epoch(Duration::from_secs(now + days * 86_400))
}

/// Whether who trusts `ca` would take `shown` for the server `name`, some days from now.
fn serves(ca: &Path, shown: &Path, name: &'static str, days: u64) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(ca), provider)
        .build()
        .unwrap();
    let name = ServerName::try_from(name).unwrap();
    verifier
        .verify_server_cert(&cert(shown), &[], &name, &[], in_days(days))
        .is_ok()
}

/// Whether who trusts `ca` would admit `shown` as a client.
fn admits(ca: &Path, shown: &Path) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca), provider)
        .build()
        .unwrap();
    let verified = verifier.verify_client_cert(&cert(shown), &[], UnixTime::now());
    verified.is_ok()
}

fn contains(path: &Path, text: &str) -> bool {
    let der = cert(path);
    der.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn certificates_are_good_for_what_a_node_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::found(dir.path(), Existing::Keep).unwrap();
    let hub = folder.issue(&hub(), Existing::Keep).unwrap();
    let gateway = folder.issue(&gateway(), Existing::Keep).unwrap();
    for (files, uri) in [
        (&hub, "meridian://us/hub-1"),
        (&gateway, "meridian://eu/gateway-1"),
    ] {
        assert!(serves(&files.ca, &files.cert, "node.meridian.internal", 0));
        assert!(admits(&files.ca, &files.cert));
        assert!(contains(&files.cert, uri), "{uri}");
    }
    assert!(serves(&hub.ca, &hub.cert, "hub.meridian.internal", 0));
    assert!(!serves(
        &gateway.ca,
        &gateway.cert,
        "hub.meridian.internal",
        0
    ));
}

#[test]
fn certificates_end_when_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::found(dir.path(), Existing::Keep).unwrap();
    let files = folder.issue(&gateway(), Existing::Keep).unwrap();
    let name = "node.meridian.internal";
    assert!(serves(&files.ca, &files.cert, name, 29));
    assert!(!serves(&files.ca, &files.cert, name, 31));
}

#[test]
fn another_authority_vouches_for_nobody_here() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, other] = dirs
        .each_ref()
        .map(|dir| Folder::found(dir.path(), Existing::Keep).unwrap());
    let files = one.issue(&gateway(), Existing::Keep).unwrap();
    assert!(!admits(&other.ca(), &files.cert));
}

#[test]
fn an_authority_that_was_opened_again_signs_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let first = Folder::found(dir.path(), Existing::Keep).unwrap();
    let before = first.issue(&hub(), Existing::Keep).unwrap();
    let again = Folder::open(dir.path()).unwrap();
    let after = again.issue(&gateway(), Existing::Keep).unwrap();
    assert!(admits(&before.ca, &after.cert));
    meridian_runtime::tls::server_config(&after.cert, &after.key, Some(&after.ca)).unwrap();
}

#[test]
fn only_the_owner_reads_keys() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::found(dir.path(), Existing::Keep).unwrap();
    let files = folder.issue(&hub(), Existing::Keep).unwrap();
    let again = folder.issue(&hub(), Existing::Replace).unwrap();
    assert_eq!(files, again);
    for key in [folder.ca_key(), files.key] {
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
}

#[test]
fn nothing_is_overwritten_unless_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::found(dir.path(), Existing::Keep).unwrap();
    let files = folder.issue(&hub(), Existing::Keep).unwrap();
    let all = [folder.ca(), folder.ca_key(), files.cert, files.key];
    let read = || all.each_ref().map(|path| fs::read(path).unwrap());
    let before = read();

    let error = init(Init {
        dir: dir.path().to_owned(),
        nodes: vec![],
        hubs: vec![],
        force: false,
    })
    .unwrap_err();
    let text = format!("{error:#}");
    for path in &all {
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
    assert!(text.contains("--force overwrites"), "{text}");
    assert!(folder.issue(&hub(), Existing::Keep).is_err());
    assert_eq!(read(), before);
    assert!(
        !dir.path().join("eu").exists(),
        "nothing is written by half"
    );

    init(Init {
        dir: dir.path().to_owned(),
        nodes: vec![],
        hubs: vec![],
        force: true,
    })
    .unwrap();
    assert!(read().iter().zip(&before).all(|(now, then)| now != then));
    let left: Vec<PathBuf> = fs::read_dir(dir.path().join("us"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_authority_with_the_key_of_another_is_refused() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for dir in &dirs {
        Folder::found(dir.path(), Existing::Keep).unwrap();
    }
    let [one, other] = &dirs;
    fs::copy(one.path().join("ca.key"), other.path().join("ca.key")).unwrap();
    let error = format!("{:#}", Folder::open(other.path()).err().unwrap());
    assert!(error.contains("is not that of its certificate"), "{error}");
    assert!(error.contains("pki init --force"), "{error}");
}

#[test]
fn a_folder_without_authority_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = format!("{:#}", Folder::open(dir.path()).err().unwrap());
    assert!(error.contains("`meridian pki init` makes one"), "{error}");
}

#[test]
fn the_page_has_lines_to_paste() {
    let dir = tempfile::tempdir().unwrap();
    let page = init(Init {
        dir: dir.path().to_owned(),
        nodes: vec![node_name("eu/a").unwrap(), node_name("us/h").unwrap()],
        hubs: vec![node_name("us/h").unwrap()],
        force: false,
    })
    .unwrap();
    let at = dir.path().display();
    for wanted in [
        format!("wrote {at}/us/h.crt   us/h, may be a hub, good for 365 days\n"),
        format!("wrote {at}/eu/a.crt   eu/a, good for 365 days\n"),
        format!(
            "\nFor the configuration of us/h:\n\n[link]\nca = \"{at}/ca.crt\"\n\
             cert = \"{at}/us/h.crt\"\nkey = \"{at}/us/h.key\"\n"
        ),
        "[link]\nhubs = [\"127.0.0.1:7379\"]".to_owned(),
    ] {
        assert!(page.contains(&wanted), "{wanted:?} is not in\n{page}");
    }
    assert_eq!(page.matches("us/h.crt   ").count(), 1, "{page}");
}

#[test]
fn the_examples_run_as_they_stand_after_init() {
    let root = tempfile::tempdir().unwrap();
    let examples = root.path().join("conf/examples");
    fs::create_dir_all(&examples).unwrap();
    init(Init {
        dir: root.path().join(FOLDER),
        nodes: vec![],
        hubs: vec![],
        force: false,
    })
    .unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/examples");
    for file in ["home.toml", "region.toml"] {
        let path = examples.join(file);
        fs::copy(from.join(file), &path).unwrap();
        let conf = meridian_conf::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(crate::wire::tls_problems(&conf), Vec::<String>::new());
        let link = conf.roles.link().unwrap();
        let uri = format!("meridian://{}/{}", conf.node.region, conf.node.name);
        assert!(contains(&link.identity.cert, &uri), "{uri}");
    }
}

#[test]
fn nodes_are_named_by_region_and_name() {
    let node = node_name("eu/gateway-1").unwrap();
    assert_eq!((&*node.region, &*node.name), ("eu", "gateway-1"));
    for text in ["gateway-1", "/a", "eu/", "eu/a/b", "../a", "e u/a"] {
        assert!(node_name(text).is_err(), "{text}");
    }
}
