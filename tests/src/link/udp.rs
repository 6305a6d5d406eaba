//! Which UDP ports a process has, as the kernel tells under `/proc`.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
};

/// Loopback addresses of the UDP sockets of process `id`; none if it is gone.
pub(super) fn addresses_of(id: u32) -> Vec<SocketAddr> {
    let inodes = socket_inodes(id);
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let rows = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    rows.iter()
        .flat_map(|rows| rows.lines().skip(1))
        .filter_map(|row| port_of(row, &inodes))
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .collect()
}

fn socket_inodes(id: u32) -> HashSet<String> {
    let Ok(open) = fs::read_dir(format!("/proc/{id}/fd")) else {
        return HashSet::new();
    };
    open.filter_map(|entry| {
        let target = fs::read_link(entry.ok()?.path()).ok()?;
        let inode = target
            .to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?;
        Some(inode.to_owned())
    })
    .collect()
}

/// The local port of a row, if its socket is one of these. Columns are `sl local_address rem_address
/// st queues tr tm->when retrnsmt uid timeout inode …`, addresses in hexadecimal.
fn port_of(row: &str, inodes: &HashSet<String>) -> Option<u16> {
    let columns: Vec<&str> = row.split_whitespace().collect();
    if !inodes.contains(*columns.get(9)?) {
        return None;
    }
    let (_, port) = columns.get(1)?.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}
