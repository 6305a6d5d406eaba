//! Whose certificate is accepted, at both ends.
//!
//! Owns two verifiers around webpki's. Invariant: a certificate that is refused leaves one line in the
//! log of who refused it, saying whose it is and why; one that is accepted names a node.

use std::{fmt::Debug, sync::Arc, time::SystemTime};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{
    identity::{node_name, subject},
    metrics,
};

/// What a node that dials demands of the other end.
#[derive(Debug)]
pub(super) struct VerifyServer(Arc<WebPkiServerVerifier>);

/// What a node that is dialled demands of the other end.
#[derive(Debug)]
pub(super) struct VerifyClient(Arc<dyn ClientCertVerifier>);

/// Both, for these authorities.
pub(super) fn verifiers(
    roots: RootCertStore,
) -> Result<(Arc<VerifyServer>, Arc<VerifyClient>), VerifierBuilderError> {
    let roots = Arc::new(roots);
    let provider = meridian_runtime::tls::provider();
    let server =
        WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
    let client = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
    Ok((
        Arc::new(VerifyServer(server)),
        Arc::new(VerifyClient(client)),
    ))
}

/// Passes a verdict on, but for certificates that name no node, and logs a refusal.
fn told<T>(
    whose: &'static str,
    certificate: &CertificateDer<'_>,
    verdict: Result<T, Error>,
) -> Result<T, Error> {
    let (reason, error) = match verdict {
        Err(error) => (reason(&error), error),
        Ok(verified) => match node_name(certificate) {
            Ok(_) => return Ok(verified),
            Err(nameless) => (
                nameless.to_string(),
                CertificateError::ApplicationVerificationFailure.into(),
            ),
        },
    };
    metrics::refused("certificate");
    let subject = subject(certificate);
    tracing::warn!(%subject, "the certificate of a {whose} is refused: {reason}");
    Err(error)
}

fn reason(error: &Error) -> String {
    let Error::InvalidCertificate(error) = error else {
        return error.to_string();
    };
    // Of the many reasons only those are put into words that an operator meets.
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it expired at {}; issue a new one", date(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "it is not valid before {}; are both clocks right?",
            date(*not_before)
        ),
        CertificateError::UnknownIssuer => {
            "it was issued by an unknown authority, none of those in `link.ca`".to_owned()
        }
        // webpki finds authorities by their names, and those of two may be the same.
        CertificateError::BadSignature => {
            "it was issued by an unknown authority, with the name of one in `link.ca` but another key"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, .. } => format!(
            "it is not for {}; is the node meant to be a hub?",
            expected.to_str()
        ),
        other => other.to_string(),
    }
}

fn date(time: UnixTime) -> String {
    let since = std::time::Duration::from_secs(time.as_secs());
    match SystemTime::UNIX_EPOCH.checked_add(since) {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => "a time beyond reckoning".to_owned(),
    }
}

impl ServerCertVerifier for VerifyServer {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self
            .0
            .verify_server_cert(certificate, issuers, server_name, ocsp, now);
        told("node that was dialled", certificate, verdict)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ClientCertVerifier for VerifyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.0.verify_client_cert(certificate, issuers, now);
        told("node that dialled", certificate, verdict)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
