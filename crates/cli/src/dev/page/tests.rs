//! Goal: the page names every address that was really taken.

use super::*;

#[test]
fn the_page_shows_endpoints_and_commands_to_copy() {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let page = render(
        Path::new("/d"),
        Duration::from_millis(80),
        (at(1), at(2)),
        (at(3), at(4)),
    );
    for wanted in [
        "NOT replicated",
        "data in /d",
        "  us      http://127.0.0.1:1        http://127.0.0.1:2        in this process\n",
        "  eu      http://127.0.0.1:3        http://127.0.0.1:4        80ms round trip, simulated\n",
        "  etcdctl --endpoints=127.0.0.1:1 put greeting hello\n",
        "  etcdctl --endpoints=127.0.0.1:3 get greeting --consistency=s\n",
        "  curl -s http://127.0.0.1:3/v3/kv/range -d '{\"key\":\"Z3JlZXRpbmc=\"}'\n",
    ] {
        assert!(page.contains(wanted), "{wanted:?} is not in\n{page}");
    }
}
