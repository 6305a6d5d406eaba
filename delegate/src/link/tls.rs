//! The security of links: made from the certificate files, and made again when they change.
//!
//! Invariants: TLS 1.3 alone, client certificates always, one application protocol; what is in use
//! names this node. Sessions are never resumed and nothing is sent as 0-RTT: rustls does not look at
//! the certificates again when it resumes, so a ticket would admit a node whose certificate has
//! expired or whose authority was taken out since, and a recorded first flight could open a
//! subscription in a node's name before that node has proven that it is there. What it would save is one
//! round trip of a reconnect (0.22 s of the 2 s that a fault may take).

use std::{path::Path, sync::Arc};

use meridian_runtime::tls::{Reloading, TlsError, authorities, pem, provider};
use quinn::{
    ClientConfig, ServerConfig, TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{client::Resumption, server::NoServerSessionStorage, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{
    LinkConfig,
    identity::node_name,
    transport,
    verify::{VerifyClient, VerifyServer, verifiers},
};
use crate::NodeName;

/// The protocol of links; its number grows with what peers cannot meet about.
const ALPN: &[u8] = b"meridian/1";

/// Handshakes that wait to be looked at, and bytes that they may hold: a handshake's first flight is
/// one or two packets.
const INCOMING_MAX: usize = 1_024;
const INCOMING_BYTES: u64 = 16 << 10;
const INCOMING_BYTES_TOTAL: u64 = 4 << 20;

/// What links are secured with now.
pub(super) struct Security {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: ClientConfig,
}

/// Reads the files, now and whenever they change.
pub(super) fn reloading(
    config: &LinkConfig,
    me: &NodeName,
) -> Result<Reloading<Security>, TlsError> {
    let LinkConfig {
        ca,
        cert,
        key,
        window_bytes,
        congestion,
    } = config.clone();
    let transport = transport::config(window_bytes, congestion);
    let files = vec![ca.clone(), cert.clone(), key.clone()];
    let me = me.clone();
    Reloading::new(files, move || read(&ca, &cert, &key, &me, &transport))
}

fn read(
    ca: &Path,
    cert: &Path,
    key: &Path,
    me: &NodeName,
    transport: &Arc<TransportConfig>,
) -> Result<Security, TlsError> {
    let chain = pem::certificates(cert)?;
    check_name(cert, &chain, me)?;
    let private = pem::private_key(key)?;
    let (dialled, dialling) = verifiers(authorities(ca)?)
        .map_err(|error| TlsError::new(ca, error, "give a PEM file of CA certificates"))?;
    let mismatch = |error: rustls::Error| mismatch(key, cert, error);
    let client = client(dialled, chain.clone(), private.clone_key()).map_err(mismatch)?;
    let server = server(dialling, chain, private).map_err(mismatch)?;
    let mut client = ClientConfig::new(Arc::new(client));
    client.transport_config(transport.clone());
    let mut server = ServerConfig::with_crypto(Arc::new(server));
    server
        .transport_config(transport.clone())
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(Security {
        server: Arc::new(server),
        client,
    })
}

fn check_name(
    path: &Path,
    chain: &[CertificateDer<'static>],
    me: &NodeName,
) -> Result<(), TlsError> {
    const REMEDY: &str =
        "give this node's own certificate, as `meridian pki issue` makes it, or mend `node`";
    match node_name(&chain[0]) {
        Ok(name) if name == *me => Ok(()),
        Ok(name) => {
            let problem = format!("is the certificate of {name}, and this node is {me}");
            Err(TlsError::new(path, problem, REMEDY))
        }
        Err(nameless) => {
            let problem = format!("is no certificate of a node: {nameless}");
            Err(TlsError::new(path, problem, REMEDY))
        }
    }
}

fn client(
    verifier: Arc<VerifyServer>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<QuicClientConfig, rustls::Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        // Ours is webpki's and stricter.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    let config = QuicClientConfig::try_from(config);
    Ok(config.expect("aws-lc-rs has the cipher suite that QUIC begins with"))
}

fn server(
    verifier: Arc<VerifyClient>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<QuicServerConfig, rustls::Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    let config = QuicServerConfig::try_from(config);
    Ok(config.expect("aws-lc-rs has the cipher suite that QUIC begins with"))
}

fn mismatch(key: &Path, cert: &Path, error: rustls::Error) -> TlsError {
    let problem = match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("is not the key of the certificate in {}", cert.display())
        }
        other => other.to_string(),
    };
    let remedy = "give a certificate and the key it was issued for";
    TlsError::new(key, problem, remedy)
}
