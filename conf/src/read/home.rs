//! Reads `[home]`: where writes go, for a node that goes there straight.

use std::path::Path;

use super::wait;
use crate::{
    endpoint::Scheme,
    schema::{ClientTls, FilePair, Home},
    section::{Section, Wrong},
    values,
};

pub(super) fn read(home: &mut Section<'_>, folder: &Path) -> Option<Home> {
    let endpoints = home.list("endpoints", values::endpoint);
    if matches!(endpoints, Some(None)) {
        let right = "give the home's client URLs, as in [\"http://127.0.0.1:2379\"]";
        home.report("endpoints", false, Wrong::new("is missing", right));
    }
    let call_timeout = wait(home, "call_timeout");
    let tls = home.section("tls", |s| read_client_tls(s, folder));
    if let (Some(Some(endpoints)), Some(Some(_))) = (&endpoints, &tls)
        && endpoints
            .iter()
            .all(|endpoint| endpoint.scheme() == Scheme::Http)
    {
        let right = "make the endpoints https:// or drop [home.tls]";
        home.report(
            "tls",
            false,
            Wrong::new("is given, but no endpoint is https", right),
        );
    }
    Some(Home {
        endpoints: endpoints??,
        call_timeout: call_timeout?,
        tls: tls?,
    })
}

fn read_client_tls(tls: &mut Section<'_>, folder: &Path) -> Option<ClientTls> {
    let ca = tls.optional("ca", |raw| values::file(raw, folder));
    let cert = tls.optional("cert", |raw| values::file(raw, folder));
    let key = tls.optional("key", |raw| values::file(raw, folder));
    let identity = match (cert?, key?) {
        (Some(cert), Some(key)) => Some(FilePair { cert, key }),
        (None, None) => None,
        (Some(_), None) => {
            tls.report(
                "key",
                false,
                Wrong::new("is missing", "give the key that cert belongs to"),
            );
            return None;
        }
        (None, Some(_)) => {
            tls.report(
                "cert",
                false,
                Wrong::new("is missing", "give the certificate of key"),
            );
            return None;
        }
    };
    Some(ClientTls { ca: ca?, identity })
}
