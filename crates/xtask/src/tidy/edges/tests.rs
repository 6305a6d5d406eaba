//! Goal: each kind of wrong edge is found, at its line. Method: planted manifests.

use super::{super::finding::Finding, check};
use crate::tidy::member::{Dependency, Member};

fn member(name: &str, dependencies: &[&str]) -> Member {
    let keys: String = dependencies
        .iter()
        .map(|name| format!("{name}.workspace = true\n"))
        .collect();
    let dependency = |name: &&str| Dependency {
        package: (*name).to_owned(),
        key: (*name).to_owned(),
    };
    Member {
        name: name.to_owned(),
        manifest: "room/Cargo.toml".to_owned(),
        text: format!("[package]\nname = \"{name}\"\n\n[dependencies]\n{keys}"),
        dependencies: dependencies.iter().map(dependency).collect(),
    }
}

fn found(name: &str, dependencies: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    check(&member(name, dependencies), &mut findings);
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn allowed_edges_pass() {
    assert_eq!(
        found(
            "meridian-engine",
            &["bytes", "meridian-home", "meridian-revlog"]
        ),
        [""; 0]
    );
    assert_eq!(
        found(
            "meridian-cli",
            &["meridian-door-etcd", "meridian-conf", "anyhow"]
        ),
        [""; 0]
    );
}

#[test]
fn an_edge_without_permission_is_found_at_its_line() {
    let found = found("meridian-engine", &["meridian-home", "meridian-etcd-api"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0]
            .starts_with("room/Cargo.toml:6: meridian-engine may not depend on meridian-etcd-api")
    );
    assert!(
        found[0]
            .contains("only meridian-keyspace, meridian-revlog, meridian-home, meridian-runtime")
    );
}

#[test]
fn a_room_of_its_own_depends_on_none_of_ours() {
    let found = found("meridian-keyspace", &["meridian-runtime"]);
    assert!(
        found[0].contains("right would be: none of ours (MVCC is pure)"),
        "{found:?}"
    );
}

#[test]
fn gateway_delegate_and_mirror_never_import_one_another() {
    assert_eq!(found("meridian-engine", &["meridian-delegate"]).len(), 1);
    assert_eq!(found("meridian-delegate", &["meridian-mirror"]).len(), 1);
    assert_eq!(found("meridian-mirror", &["meridian-engine"]).len(), 1);
    assert_eq!(
        found("meridian-door-etcd", &["meridian-door-consul"]).len(),
        1
    );
}

#[test]
fn a_crate_without_a_row_is_found() {
    let found = found("meridian-novelty", &[]);
    assert!(
        found[0].starts_with("room/Cargo.toml:2: meridian-novelty is a room without edges"),
        "{found:?}"
    );
}

#[test]
fn quinn_is_fenced_into_the_delegate() {
    assert_eq!(found("meridian-delegate", &["quinn"]), [""; 0]);
    let found = found("meridian-runtime", &["bytes", "quinn"]);
    assert!(
        found[0].starts_with("room/Cargo.toml:6: meridian-runtime may not depend on quinn"),
        "{found:?}"
    );
    assert!(
        found[0].contains("quinn only in meridian-delegate"),
        "{found:?}"
    );
}

#[test]
fn a_dependency_in_a_table_of_its_own_has_its_line_too() {
    let mut member = member("meridian-conf", &["meridian-home"]);
    member.text = "[package]\n\n[dependencies.meridian-home]\nworkspace = true\n".to_owned();
    assert_eq!(member.line_of("meridian-home"), 3);
}
