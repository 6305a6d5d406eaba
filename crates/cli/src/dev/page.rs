//! What `meridian dev` shows first: where things are, and three commands to copy.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::region::Region;

pub(super) fn of(dir: &Path, round_trip: Duration, us: &Region, eu: &Region) -> String {
    let ports = |region: &Region| (region.listen(), region.admin());
    render(dir, round_trip, ports(us), ports(eu))
}

fn render(
    dir: &Path,
    round_trip: Duration,
    us: (SocketAddr, SocketAddr),
    eu: (SocketAddr, SocketAddr),
) -> String {
    let row = |name: &str, (etcd, admin): (SocketAddr, SocketAddr), way: &str| {
        let (etcd, admin) = (format!("http://{etcd}"), format!("http://{admin}"));
        format!("  {name:<8}{etcd:<26}{admin:<26}{way}")
    };
    let far = format!(
        "{} round trip, simulated",
        humantime::format_duration(round_trip)
    );
    let dir = dir.display();
    [
        format!("One embedded home (NOT replicated: for development only), data in {dir}"),
        String::new(),
        format!(
            "  {:<8}{:<26}{:<26}{}",
            "region", "etcd endpoint", "admin", "way to the home"
        ),
        row("us", us, "in this process"),
        row("eu", eu, &far),
        String::new(),
        "Try, in another terminal (Z3JlZXRpbmc= is `greeting`):".to_owned(),
        String::new(),
        format!("  etcdctl --endpoints={} put greeting hello", us.0),
        format!(
            "  etcdctl --endpoints={} get greeting --consistency=s",
            eu.0
        ),
        format!(
            "  curl -s http://{}/v3/kv/range -d '{{\"key\":\"Z3JlZXRpbmc=\"}}'",
            eu.0
        ),
        String::new(),
        "Ctrl-C stops in order.".to_owned(),
        String::new(),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests;
