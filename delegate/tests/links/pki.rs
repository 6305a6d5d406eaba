//! An authority and its certificates, in a folder of the test's.

use std::fs;

use meridian_delegate::{Congestion, LinkConfig, NodeName, link::WINDOW_BYTES};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tempfile::TempDir;

pub(crate) struct Pki {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    /// A certificate for `name`, that of a hub or not.
    pub(crate) fn issue(&self, name: &NodeName, hub: bool) -> LinkConfig {
        let mut names = vec!["node.meridian.internal".to_owned()];
        names.extend(hub.then(|| "hub.meridian.internal".to_owned()));
        let mut params = CertificateParams::new(names).unwrap();
        let uri = format!("meridian://{name}");
        let uri = SanType::URI(uri.as_str().try_into().unwrap());
        params.subject_alt_names.push(uri);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let write = |ending: &str, text: String| {
            let path = self
                .dir
                .path()
                .join(format!("{}-{}.{ending}", name.region, name.name));
            fs::write(&path, text).unwrap();
            path
        };
        LinkConfig {
            ca: self.dir.path().join("ca.crt"),
            cert: write("crt", certificate.pem()),
            key: write("key", key.serialize_pem()),
            window_bytes: WINDOW_BYTES,
            congestion: Congestion::default(),
        }
    }
}
