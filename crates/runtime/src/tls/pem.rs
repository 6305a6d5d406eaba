//! Reads certificates and keys from PEM files, with errors a person can act on.

use std::path::Path;

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use super::TlsError;

/// Certificates are kilobytes; a file larger than this is a mistake, not read into memory.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Every certificate in the file; at least one.
///
/// # Errors
/// [`TlsError`] if the file cannot be read or has none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const REMEDY: &str = "give a PEM file with -----BEGIN CERTIFICATE----- blocks";
    let text = contents(path)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = parsed.map_err(|e| TlsError::new(path, broken(&e), REMEDY))?;
    if chain.is_empty() {
        return Err(TlsError::new(path, "has no certificate in it", REMEDY));
    }
    Ok(chain)
}

/// The first private key in the file.
///
/// # Errors
/// [`TlsError`] if the file cannot be read, or has none that is not encrypted.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = contents(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(&text) => TlsError::new(
            path,
            "has only an encrypted private key",
            "decrypt it first, as with `openssl pkey -in FILE -out FILE.plain`",
        ),
        pem::Error::NoItemsFound => TlsError::new(
            path,
            "has no private key in it",
            "give a PEM file with a -----BEGIN PRIVATE KEY----- block",
        ),
        other => TlsError::new(
            path,
            broken(&other),
            "give a PEM file with a -----BEGIN PRIVATE KEY----- block",
        ),
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    const MARK: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";
    text.windows(MARK.len()).any(|window| window == MARK)
}

fn broken(error: &pem::Error) -> String {
    format!("is not well-formed PEM ({error})")
}

fn contents(path: &Path) -> Result<Vec<u8>, TlsError> {
    const REMEDY: &str = "name a file that exists and that this user may read";
    let refused = |e: std::io::Error| TlsError::new(path, format!("cannot be read ({e})"), REMEDY);
    let bytes = std::fs::metadata(path).map_err(refused)?.len();
    if bytes > FILE_BYTES_MAX {
        let problem = format!("has {bytes} bytes, more than the {FILE_BYTES_MAX} allowed");
        return Err(TlsError::new(path, problem, "give a PEM file"));
    }
    std::fs::read(path).map_err(refused)
}
