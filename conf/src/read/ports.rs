//! Finds listeners of one node that would take each other's port.

use std::net::{IpAddr, SocketAddr};

use super::roles::Parts;
use crate::{
    schema::Admin,
    section::{Section, Wrong},
};

/// Reports each TCP listener whose address an earlier one has taken. Of the UDP listeners a node has
/// one: `hub.listen` or `link.listen`.
pub(super) fn check(root: &Section<'_>, parts: &Parts, admin: &Admin) {
    let Some(Some(gateway)) = &parts.gateway else {
        return;
    };
    let (etcd, admin) = (gateway.etcd.listen, admin.listen);
    if clash(etcd, admin) {
        let wrong = match etcd == admin {
            true => format!("{admin} is taken by gateway.etcd.listen"),
            false => format!("{admin} is taken by gateway.etcd.listen, which is {etcd}"),
        };
        let right = "give one of the two another port";
        root.report("admin.listen", false, Wrong::new(wrong, right));
    }
}

/// Whether the system would refuse the second of the two.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match (wide, narrow) {
        _ if wide == narrow => true,
        // [::] takes the port for IPv4 too, as Linux has it; 0.0.0.0 takes no IPv6 address.
        (IpAddr::V6(_), _) | (IpAddr::V4(_), IpAddr::V4(_)) => wide.is_unspecified(),
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    };
    one.port() == other.port()
        && one.port() != 0
        && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}
