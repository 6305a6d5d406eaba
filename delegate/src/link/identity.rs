//! How a certificate names a node.
//!
//! A node's certificate has one URI `meridian://REGION/NAME` among its subject alternative names.
//! Invariant: the name of a link's other end comes from here and from nowhere else.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::NodeName;

/// What a node's URI begins with.
const SCHEME: &str = "meridian://";

/// The longest region or name: that of a DNS label.
const WORD_BYTES_MAX: usize = 63;

/// Why a certificate names no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nameless {
    #[error("it cannot be read as an X.509 certificate")]
    Unreadable,
    #[error("it has no URI meridian://REGION/NAME")]
    Missing,
    #[error("it has more than one URI meridian://REGION/NAME")]
    Ambiguous,
}

/// The node that a certificate names.
pub(super) fn node_name(certificate: &CertificateDer<'_>) -> Result<NodeName, Nameless> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|_| Nameless::Unreadable)?;
    let mut names = certificate.valid_uri_names().filter_map(parse);
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name),
        (Some(_), Some(_)) => Err(Nameless::Ambiguous),
        (None, _) => Err(Nameless::Missing),
    }
}

/// What a certificate says of itself, for people.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> String {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return "a certificate that cannot be read".to_owned();
    };
    let uris = certificate.valid_uri_names();
    let names: Vec<&str> = uris.chain(certificate.valid_dns_names()).take(8).collect();
    match names.is_empty() {
        true => "a certificate without names".to_owned(),
        false => names.join(", "),
    }
}

fn parse(uri: &str) -> Option<NodeName> {
    let (region, name) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    (is_word(region) && is_word(name)).then(|| NodeName {
        region: region.to_owned(),
        name: name.to_owned(),
    })
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}
