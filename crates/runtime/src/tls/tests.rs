//! Goal: good files make working connections, bad ones an error that helps, and a rotation is
//! taken up. Method: certificates made on the spot, handshakes over an in-memory pipe.

use std::{
    fs,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `NAME.crt` and `NAME.key`, issued by `authority` for `localhost`.
fn issue(dir: &TempDir, authority: &Authority, name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    let identity = Identity {
        cert: dir.path().join(format!("{name}.crt")),
        key: dir.path().join(format!("{name}.key")),
    };
    fs::write(&identity.cert, cert.pem()).unwrap();
    fs::write(&identity.key, key.serialize_pem()).unwrap();
    identity
}

fn write_authority(dir: &TempDir, authority: &Authority, name: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, authority.pem()).unwrap();
    path
}

/// A handshake between the two; the certificate the client saw and the protocol agreed on.
async fn shake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = "localhost".try_into().unwrap();
    let (accepted, connected) = tokio::join!(
        TlsAcceptor::from(server).accept(far),
        TlsConnector::from(client).connect(name, near)
    );
    let (accepted, connected) = (accepted?, connected?);
    let shown = connected.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    Ok((
        shown,
        accepted.get_ref().1.alpn_protocol().unwrap().to_vec(),
    ))
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_connects_and_speaks_h2() {
    let (dir, issuer) = (TempDir::new().unwrap(), authority());
    let ca = write_authority(&dir, &issuer, "ca.crt");
    let id = issue(&dir, &issuer, "server");
    let server = server_config(&id.cert, &id.key, None).unwrap();
    let client = client_config(Some(&ca), None).unwrap();
    let (_, protocol) = shake(server.current(), client.current()).await.unwrap();
    assert_eq!(protocol, b"h2");

    let stranger = write_authority(&dir, &authority(), "stranger.crt");
    let client = client_config(Some(&stranger), None).unwrap();
    assert!(shake(server.current(), client.current()).await.is_err());
}

#[tokio::test]
async fn a_server_with_a_client_authority_admits_only_its_clients() {
    let (dir, issuer) = (TempDir::new().unwrap(), authority());
    let ca = write_authority(&dir, &issuer, "ca.crt");
    let id = issue(&dir, &issuer, "server");
    let server = server_config(&id.cert, &id.key, Some(&ca)).unwrap();
    let known = client_config(Some(&ca), Some(issue(&dir, &issuer, "client"))).unwrap();
    assert!(shake(server.current(), known.current()).await.is_ok());
    let nameless = client_config(Some(&ca), None).unwrap();
    assert!(shake(server.current(), nameless.current()).await.is_err());
}

#[tokio::test]
async fn a_rotation_is_taken_up_and_a_broken_one_is_not() {
    let (dir, issuer) = (TempDir::new().unwrap(), authority());
    let ca = write_authority(&dir, &issuer, "ca.crt");
    let id = issue(&dir, &issuer, "server");
    let server = server_config(&id.cert, &id.key, None).unwrap();
    let client = client_config(Some(&ca), None).unwrap();
    let now = Instant::now();
    let (first, _) = shake(server.current_at(now), client.current())
        .await
        .unwrap();

    // Different lengths, so that the change shows even on a file system with coarse times.
    fs::write(&id.cert, "half a certificate").unwrap();
    let later = now + Duration::from_secs(10);
    let (kept, _) = shake(server.current_at(later), client.current())
        .await
        .unwrap();
    assert_eq!(first, kept);

    let renewed = issue(&dir, &issuer, "renewed");
    fs::copy(&renewed.cert, &id.cert).unwrap();
    fs::copy(&renewed.key, &id.key).unwrap();
    let later = later + Duration::from_secs(10);
    let (second, _) = shake(server.current_at(later), client.current())
        .await
        .unwrap();
    assert_ne!(first, second);
}

fn check<T: std::fmt::Debug>(made: Result<T, TlsError>, file: &Path, problem: &str) {
    let error = made.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.path, file, "{text}");
    assert!(text.starts_with(&format!("{}: ", file.display())), "{text}");
    assert!(text.contains(problem), "`{problem}` is not in: {text}");
}

#[test]
fn every_error_names_the_file_and_what_is_wrong() {
    let (dir, issuer) = (TempDir::new().unwrap(), authority());
    let id = issue(&dir, &issuer, "server");
    let other = issue(&dir, &issuer, "other");
    let missing = dir.path().join("missing");
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let locked = dir.path().join("locked.key");
    fs::write(
        &locked,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    let broken = dir.path().join("broken");
    fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();

    check(
        server_config(&missing, &id.key, None),
        &missing,
        "cannot be read",
    );
    check(
        server_config(&empty, &id.key, None),
        &empty,
        "has no certificate in it",
    );
    check(
        server_config(&broken, &id.key, None),
        &broken,
        "not well-formed PEM",
    );
    check(
        server_config(&id.cert, &empty, None),
        &empty,
        "has no private key in it",
    );
    check(
        server_config(&id.cert, &locked, None),
        &locked,
        "decrypt it first",
    );
    check(
        server_config(&id.cert, &other.key, None),
        &other.key,
        "is not the key of",
    );
    check(
        server_config(&id.cert, &id.key, Some(&missing)),
        &missing,
        "cannot be read",
    );
    check(
        client_config(Some(&empty), None),
        &empty,
        "has no certificate in it",
    );
    let swapped = Identity {
        cert: id.cert.clone(),
        key: other.key.clone(),
    };
    let ca = write_authority(&dir, &issuer, "ca.crt");
    check(
        client_config(Some(&ca), Some(swapped)),
        &other.key,
        "is not the key of",
    );
}
