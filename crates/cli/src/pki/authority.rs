//! Makes certificates: an authority of its own, and the nodes it signs for.
//!
//! All keys are ECDSA P-256. It writes no file. Invariant: an [`Authority`] in hand has the key of
//! its certificate, so what it issues is trusted by whoever trusts that certificate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use meridian_delegate::NodeName;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, TrustAnchor, pem::PemObject},
};

/// Ten years: longer than anybody keeps a development set-up.
pub(super) const AUTHORITY_DAYS: u32 = 3650;

/// The name by which we know an authority of ours again.
const AUTHORITY_NAME: &str = "Meridian development authority";

/// A certificate is good from an hour ago on, for nodes whose clocks are behind.
const CLOCK_SLACK: Duration = Duration::from_secs(3600);

const DAY: Duration = Duration::from_secs(86_400);

/// The TLS server name of every node.
const NODE_SERVER_NAME: &str = "node.meridian.internal";

/// The TLS server name of nodes that may be hubs.
const HUB_SERVER_NAME: &str = "hub.meridian.internal";

/// What a node may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// A gateway, a delegate.
    Node,
    /// A hub, too.
    Hub,
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) node: NodeName,
    pub(crate) right: Right,
    /// For how long it is good.
    pub(crate) days: u32,
}

/// A certificate and its key, as PEM.
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// Signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, with its certificate and key.
    pub(super) fn found() -> Result<(Self, Issued)> {
        let key = new_key()?;
        let params = authority_params()?;
        let cert = params
            .self_signed(&key)
            .context("sign the authority's certificate")?;
        let issued = Issued {
            cert: cert.pem(),
            key: key.serialize_pem(),
        };
        let issuer = Issuer::new(params, key);
        Ok((Self { issuer }, issued))
    }

    /// The one that [`Authority::found`] made.
    pub(super) fn open(files: &Issued) -> Result<Self> {
        let key = KeyPair::from_pem(&files.key).context("read the authority's key")?;
        let cert = CertificateDer::from_pem_slice(files.cert.as_bytes())
            .context("read the authority's certificate")?;
        let params = authority_params()?;
        // We read no certificates, so we look whether this key would make the same name and key.
        let ours = params
            .self_signed(&key)
            .context("try the authority's key")?;
        let (given, ours) = (anchor(cert)?, anchor(ours.der().clone())?);
        if given.subject != ours.subject {
            bail!("the authority is none that `meridian pki init` made");
        }
        if given.subject_public_key_info != ours.subject_public_key_info {
            bail!("the authority's key is not that of its certificate");
        }
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer })
    }

    /// A certificate for a node, with a new key.
    pub(super) fn issue(&self, subject: &Subject) -> Result<Issued> {
        let Subject { node, right, days } = subject;
        let key = new_key()?;
        let mut params = params(&node.to_string(), *days)?;
        let uri = format!("meridian://{}/{}", node.region, node.name);
        params.subject_alt_names = vec![
            SanType::URI(uri.try_into().context("name the node")?),
            SanType::DnsName(NODE_SERVER_NAME.try_into().context("name the node")?),
        ];
        match right {
            Right::Node => {}
            Right::Hub => params.subject_alt_names.push(SanType::DnsName(
                HUB_SERVER_NAME.try_into().context("name the hub")?,
            )),
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let cert = params
            .signed_by(&key, &self.issuer)
            .with_context(|| format!("sign the certificate of {node}"))?;
        Ok(Issued {
            cert: cert.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("make a key")
}

fn authority_params() -> Result<CertificateParams> {
    let mut params = params(AUTHORITY_NAME, AUTHORITY_DAYS)?;
    // It signs nodes, not other authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(name: &str, days: u32) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("read the clock, which is before 1970")?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(CLOCK_SLACK);
    params.not_after = epoch + now + DAY * days;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// What a verifier keeps of an authority: its name and its key.
fn anchor(cert: CertificateDer<'_>) -> Result<TrustAnchor<'static>> {
    let mut store = RootCertStore::empty();
    store.add(cert).context("use the authority's certificate")?;
    store.roots.pop().context("use the authority's certificate")
}
