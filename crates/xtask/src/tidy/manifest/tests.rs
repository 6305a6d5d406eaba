//! Goal: whatever a manifest does not inherit is found, at its line. Method: planted manifests.

use super::{super::finding::Finding, check};
use crate::tidy::member::Member;

const GOOD: &str = "[package]
name = \"meridian-conf\"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lints]
workspace = true

[dependencies]
bytes.workspace = true
tokio = { workspace = true, features = [\"fs\"] }
";

fn found(text: &str) -> Vec<String> {
    let member = Member {
        name: "meridian-conf".to_owned(),
        manifest: "conf/Cargo.toml".to_owned(),
        text: text.to_owned(),
        dependencies: Vec::new(),
    };
    let mut findings = Vec::new();
    check(&member, &mut findings);
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn a_manifest_that_inherits_everything_passes() {
    assert_eq!(found(GOOD), [""; 0]);
}

#[test]
fn lints_of_its_own_are_found() {
    let found = found(&GOOD.replace(
        "[lints]\nworkspace = true",
        "[lints.rust]\nmissing_docs = \"allow\"",
    ));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("does not inherit the lints"), "{found:?}");
    assert!(
        self::found("[package]\n")
            .iter()
            .any(|text| text.contains("does not inherit the lints"))
    );
}

#[test]
fn a_version_of_its_own_is_found_at_its_line() {
    let found = found(&GOOD.replace("bytes.workspace = true", "bytes = \"1\""));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("conf/Cargo.toml:13: bytes has a version of its own"),
        "{found:?}"
    );
}

#[test]
fn dependencies_of_every_kind_and_target_are_looked_at() {
    let more = "\n[dev-dependencies]\na = \"1\"\n\n[build-dependencies]\nb = { path = \"b\" }\n\
                \n[target.'cfg(unix)'.dependencies]\nc = \"1\"\n";
    let found = found(&format!("{GOOD}{more}"));
    let lines: Vec<_> = found
        .iter()
        .filter_map(|text| text.split(" has ").next())
        .collect();
    assert_eq!(
        lines,
        [
            "conf/Cargo.toml:17: a",
            "conf/Cargo.toml:20: b",
            "conf/Cargo.toml:23: c"
        ]
    );
}

#[test]
fn a_package_field_of_its_own_is_found() {
    let found = found(&GOOD.replace("edition.workspace = true", "edition = \"2021\""));
    assert_eq!(
        found,
        [
            "conf/Cargo.toml:4: edition is not the workspace's; right would be: edition.workspace = true"
        ]
    );
}

#[test]
fn a_broken_manifest_is_found() {
    assert!(found("[package")[0].contains("not readable as TOML"));
}
