//! A member that wants TLS and a client certificate.

use std::{fs, path::Path, time::Instant};

use meridian_home::{
    Home,
    remote::{RemoteConfig, RemoteHome, RemoteTls},
};
use meridian_keyspace::Revision;
use meridian_runtime::{TaskGroup, tls::Identity};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::etcd::{LIMIT, TestHome, binaries, start_with};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(dir: &Path) -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(dir.join("ca.crt"), authority.pem()).unwrap();
    authority
}

/// A certificate for this machine, as `NAME.crt` and `NAME.key`.
fn issue(dir: &Path, authority: &Authority, name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    // A common name would be taken for a user name.
    params.distinguished_name = rcgen::DistinguishedName::new();
    let cert = params.signed_by(&key, authority).unwrap();
    let identity = Identity {
        cert: dir.join(format!("{name}.crt")),
        key: dir.join(format!("{name}.key")),
    };
    fs::write(&identity.cert, cert.pem()).unwrap();
    fs::write(&identity.key, key.serialize_pem()).unwrap();
    identity
}

#[tokio::test]
async fn a_member_that_wants_certificates_on_both_sides_is_spoken_to() {
    for binary in binaries() {
        let dir = TempDir::new().unwrap();
        let authority = authority(dir.path());
        let server = issue(dir.path(), &authority, "server");
        let client = issue(dir.path(), &authority, "client");
        let ca = dir.path().join("ca.crt");
        let args = [
            "--client-cert-auth".to_owned(),
            format!("--trusted-ca-file={}", ca.display()),
            format!("--cert-file={}", server.cert.display()),
            format!("--key-file={}", server.key.display()),
        ];
        let members = start_with(&binary, 1, "https", &args);
        let tls = RemoteTls {
            ca: Some(ca.clone()),
            identity: Some(client),
        };
        let home = TestHome::with_tls(&members, Some(tls)).await;
        let revision = home.put("a", "1").await.unwrap();
        assert_eq!(
            home.home.read_index().await.unwrap().revision,
            Revision::new(revision)
        );
        home.stop().await;
        without_a_certificate(&members[0].url, ca).await;
    }
}

/// Without a certificate of its own the home is told so, in `status` too.
async fn without_a_certificate(url: &str, ca: std::path::PathBuf) {
    let tasks = TaskGroup::root("test");
    let tls = Some(RemoteTls {
        ca: Some(ca),
        identity: None,
    });
    let home = RemoteHome::connect(
        RemoteConfig {
            tls,
            ..RemoteConfig::of([url])
        },
        &tasks,
    )
    .unwrap();
    let deadline = Instant::now() + LIMIT;
    while home.describe().endpoints[0].last_error.is_none() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let status = &home.describe().endpoints[0];
    assert!(!status.healthy);
    assert!(tasks.stop(LIMIT).await.is_clean());
}
