//! Transport security: certificates from PEM files, read again when they change.
//!
//! One provider, aws-lc-rs, named in every configuration. Invariant: a configuration in use is
//! always whole; a rotation that cannot be read leaves the last good one in use and says so. Every
//! error names the file, what is wrong with it and what would be right. It does not know who
//! listens or connects.

pub mod pem;
mod reload;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier,
};

pub use reload::Reloading;

/// What a server offers over TLS, preferred first.
const SERVER_ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A client of ours speaks gRPC only, so it asks for nothing else.
const CLIENT_ALPN: [&[u8]; 1] = [b"h2"];

/// Where distributions keep the public certificate authorities, as one PEM file.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A server's configuration; the files are read again when they change.
pub type ReloadableServer = Reloading<ServerConfig>;

/// A client's configuration; the files are read again when they change.
pub type ReloadableClient = Reloading<ClientConfig>;

/// A certificate chain and its private key, as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM: the certificate, then its issuers.
    pub cert: PathBuf,
    /// PEM: the private key (PKCS#8, PKCS#1 or SEC1, not encrypted).
    pub key: PathBuf,
}

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {remedy}", path.display())]
pub struct TlsError {
    /// The file at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub remedy: &'static str,
}

impl TlsError {
    /// Says what is wrong with a file and what would be right.
    pub fn new(path: &Path, problem: impl ToString, remedy: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.to_string(),
            remedy,
        }
    }
}

/// Makes aws-lc-rs the process's provider, for what does not name one. Call it first in `main`;
/// calling it again changes nothing.
pub fn install_provider() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A server that shows `cert` and, given `client_ca`, admits only clients with a certificate of
/// that authority.
///
/// # Errors
/// [`TlsError`] for the first file that cannot be used.
pub fn server_config(
    cert: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Result<ReloadableServer, TlsError> {
    let identity = Identity {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let client_ca = client_ca.map(Path::to_owned);
    let mut files = vec![identity.cert.clone(), identity.key.clone()];
    files.extend(client_ca.clone());
    Reloading::new(files, move || read_server(&identity, client_ca.as_deref()))
}

/// A client that trusts `ca` (or, without one, the system's authorities) and shows `identity`.
///
/// # Errors
/// [`TlsError`] for the first file that cannot be used.
pub fn client_config(
    ca: Option<&Path>,
    identity: Option<Identity>,
) -> Result<ReloadableClient, TlsError> {
    let ca = ca.map_or_else(system_authorities, |ca| Ok(ca.to_owned()))?;
    let mut files = vec![ca.clone()];
    files.extend(
        identity
            .iter()
            .flat_map(|id| [id.cert.clone(), id.key.clone()]),
    );
    Reloading::new(files, move || read_client(&ca, identity.as_ref()))
}

/// The one provider, for configurations that are made elsewhere.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read_server(identity: &Identity, client_ca: Option<&Path>) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports the default protocol versions");
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = Arc::new(authorities(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|e| TlsError::new(ca, e, "give a PEM file of CA certificates"))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(
            pem::certificates(&identity.cert)?,
            pem::private_key(&identity.key)?,
        )
        .map_err(|e| mismatch(identity, e))?;
    config.alpn_protocols = SERVER_ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn read_client(ca: &Path, identity: Option<&Identity>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports the default protocol versions")
        .with_root_certificates(authorities(ca)?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = pem::certificates(&identity.cert)?;
            let key = pem::private_key(&identity.key)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| mismatch(identity, e))?
        }
    };
    config.alpn_protocols = CLIENT_ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn mismatch(identity: &Identity, error: rustls::Error) -> TlsError {
    let problem = match error {
        rustls::Error::InconsistentKeys(_) => {
            format!(
                "is not the key of the certificate in {}",
                identity.cert.display()
            )
        }
        other => other.to_string(),
    };
    TlsError::new(
        &identity.key,
        problem,
        "give a certificate and the key it was issued for",
    )
}

/// The authorities in a PEM file; at least one.
///
/// # Errors
/// [`TlsError`] if the file has none that can be a root.
pub fn authorities(ca: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(pem::certificates(ca)?);
    if added == 0 {
        let remedy = "give a PEM file of CA certificates";
        return Err(TlsError::new(
            ca,
            "has no certificate that can be a root",
            remedy,
        ));
    }
    Ok(roots)
}

fn system_authorities() -> Result<PathBuf, TlsError> {
    let found = SYSTEM_AUTHORITIES
        .iter()
        .map(Path::new)
        .find(|path| path.is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        let remedy = "install the package ca-certificates or name a CA file";
        TlsError::new(
            Path::new(SYSTEM_AUTHORITIES[0]),
            "no system authorities are here",
            remedy,
        )
    })
}

#[cfg(test)]
mod tests;
