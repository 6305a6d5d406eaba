//! Certificates of a test's own making, as PEM files in its folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, date_time_ymd,
};

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What the certificate of a node of a link says.
#[derive(Clone, Debug)]
pub struct NodeCertificate {
    /// The region it names.
    pub region: String,
    /// The node it names.
    pub name: String,
    /// Whether it may be a hub.
    pub is_hub: bool,
    /// The year at whose beginning it ends, if not far away.
    pub ends: Option<i32>,
}

impl NodeCertificate {
    /// Of an ordinary node of `region`.
    #[must_use]
    pub fn of(region: &str, name: &str) -> Self {
        Self {
            region: region.to_owned(),
            name: name.to_owned(),
            is_hub: false,
            ends: None,
        }
    }

    /// Of a node that may be a hub.
    #[must_use]
    pub fn of_hub(region: &str, name: &str) -> Self {
        Self {
            is_hub: true,
            ..Self::of(region, name)
        }
    }

    fn params(&self) -> Result<CertificateParams> {
        let mut names = vec!["node.meridian.internal".to_owned()];
        if self.is_hub {
            names.push("hub.meridian.internal".to_owned());
        }
        let mut params = CertificateParams::new(names)?;
        let uri = format!("meridian://{}/{}", self.region, self.name);
        params
            .subject_alt_names
            .push(SanType::URI(uri.as_str().try_into()?));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if let Some(year) = self.ends {
            params.not_before = date_time_ymd(year - 1, 1, 1);
            params.not_after = date_time_ymd(year, 1, 1);
        }
        Ok(params)
    }
}

/// What an authority has left in its folder, for who does not hold its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its own certificate.
    pub ca: PathBuf,
    stem: PathBuf,
}

impl Issued {
    /// The files of a node it has issued a certificate for.
    #[must_use]
    pub fn identity(&self, region: &str, name: &str) -> Identity {
        let path = |ending: &str| {
            let stem = self.stem.display();
            PathBuf::from(format!("{stem}-{region}-{name}.{ending}"))
        };
        Identity {
            cert: path("crt"),
            key: path("key"),
        }
    }
}

/// An authority that issues certificates for 127.0.0.1.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
    name: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one, whose files lie in `dir` and begin with `name`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn new(dir: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let authority = Self {
            issuer,
            dir: dir.to_owned(),
            name: name.to_owned(),
        };
        fs::write(authority.file(), authority.issuer.pem()).context("write an authority")?;
        Ok(authority)
    }

    /// What the authority `name` has left in `dir`.
    #[must_use]
    pub fn issued(dir: &Path, name: &str) -> Issued {
        Issued {
            ca: dir.join(format!("{name}.crt")),
            stem: dir.join(name),
        }
    }

    /// Its own certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.join(format!("{}.crt", self.name))
    }

    /// A certificate for this machine.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn issue(&self, name: &str) -> Result<Identity> {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        // etcd takes a common name for a user's.
        params.distinguished_name = DistinguishedName::new();
        self.sign(name, params)
    }

    /// A certificate for a node of a link.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn issue_node(&self, node: &NodeCertificate) -> Result<Identity> {
        let file = format!("{}-{}", node.region, node.name);
        self.sign(&file, node.params()?)
    }

    fn sign(&self, name: &str, params: CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?;
        let path = |ending: &str| self.dir.join(format!("{}-{name}.{ending}", self.name));
        let identity = Identity {
            cert: path("crt"),
            key: path("key"),
        };
        fs::write(&identity.cert, cert.pem()).context("write a certificate")?;
        fs::write(&identity.key, key.serialize_pem()).context("write a key")?;
        Ok(identity)
    }
}
