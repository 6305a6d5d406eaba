//! Reads `[hub]` and `[link]`: the ways between regions.

use std::path::Path;

use super::NO_DEFAULT;
use crate::{
    schema::{FilePair, Hub, Link, LinkWindow, Uplink},
    section::{Section, Wrong},
    values,
};

/// The least is two groups of coded log (4 MiB each before coding, and not every value shrinks): the
/// one that is being written and the one that a reader may have to begin at. It is held in memory,
/// so more than 64 GiB is a slip of the unit.
const WINDOW_BYTES: (u64, u64) = (8 << 20, 64 << 30);

/// `[link]` as it was read.
pub(super) struct LinkRead {
    pub(super) link: Link,
    /// At a node that is no hub.
    pub(super) uplink: Option<Uplink>,
}

pub(super) fn read_hub(hub: &mut Section<'_>) -> Option<Hub> {
    let listen = hub.required("listen", NO_DEFAULT, values::address);
    Some(Hub { listen: listen? })
}

pub(super) fn read(link: &mut Section<'_>, folder: &Path, at_hub: bool) -> Option<LinkRead> {
    let uplink = match at_hub {
        true => no_uplink(link).map(|()| None),
        false => read_uplink(link).map(Some),
    };
    let mut file = |key, right: &str| link.required(key, right, |raw| values::file(raw, folder));
    let ca = file(
        "ca",
        "give the authority that all nodes trust; `meridian pki init` makes one",
    );
    let cert = file(
        "cert",
        "give this node's certificate; `meridian pki issue` makes one",
    );
    let key = file("key", "give the key that cert belongs to");
    let congestion = link.required("congestion", NO_DEFAULT, values::congestion);
    let window = link.required_section("window", "the log kept for readers", read_window);
    Some(LinkRead {
        uplink: uplink?,
        link: Link {
            ca: ca?,
            identity: FilePair {
                cert: cert?,
                key: key?,
            },
            congestion: congestion?,
            window: window?,
        },
    })
}

fn read_window(window: &mut Section<'_>) -> Option<LinkWindow> {
    let (least, most) = WINDOW_BYTES;
    let bytes = window.required("bytes", NO_DEFAULT, |raw| values::count(raw, least, most));
    Some(LinkWindow { bytes: bytes? })
}

fn read_uplink(link: &mut Section<'_>) -> Option<Uplink> {
    let hubs = link.list("hubs", values::host_port);
    let listen = link.optional("listen", values::address);
    let advertise = link.optional("advertise", values::host_port);
    let (hubs, Some(listen), advertise) = (hubs?, listen?, advertise?) else {
        // Without hubs there is no default to listen at; the shape's check asks for them.
        return None;
    };
    if listen.ip().is_unspecified() && advertise.is_none() {
        let wrong = format!("is missing, and other nodes cannot connect to {listen}");
        let right = "give the address they use, as in \"gateway-1.eu.example.org:7380\"";
        link.report("advertise", false, Wrong::new(wrong, right));
        return None;
    }
    let uplink = Uplink {
        hubs: hubs?,
        listen,
        advertise,
    };
    let own = uplink.relay_address(listen);
    let own_place = uplink.hubs.iter().position(|hub| hub.to_string() == own);
    if let Some(place) = own_place {
        let wrong = format!("{own} is where this node itself serves its region");
        let right = "give the address of a hub";
        link.report(&format!("hubs[{place}]"), false, Wrong::new(wrong, right));
        return None;
    }
    Some(uplink)
}

/// What a hub's `[link]` has no use for.
fn no_uplink(link: &mut Section<'_>) -> Option<()> {
    let hubs = link.optional("hubs", |_| {
        Err::<(), _>(Wrong::new(
            "is given, but this node is a hub itself, and a hub goes straight to the home",
            "drop it, or drop [hub]",
        ))
    });
    let listens = ["listen", "advertise"].map(|key| {
        link.optional(key, |_| {
            Err::<(), _>(Wrong::new(
                "is given, but this node is a hub, and nodes of all regions come to hub.listen",
                "drop it",
            ))
        })
    });
    hubs?;
    listens.into_iter().collect::<Option<Vec<_>>>()?;
    Some(())
}
