//! Goal: each layout rule finds its planted violation, and leaves innocent text alone.

use super::{super::finding::Finding, super::rules::MARKS, Source, check};

fn found(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    check(
        &Source {
            path: path.to_owned(),
            text: text.to_owned(),
        },
        &mut findings,
    );
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn a_described_file_passes() {
    assert_eq!(
        found("conf/src/lib.rs", "//! Owns it.\n\nmod values;\n"),
        [""; 0]
    );
}

#[test]
fn a_file_without_a_description_is_found() {
    for text in ["", "use std::fmt;\n", "\n//! Late.\n", "// Not a doc.\n"] {
        let found = found("crates/x/build.rs", text);
        assert!(
            found[0].starts_with("crates/x/build.rs:1: the file does not open"),
            "{text:?}: {found:?}"
        );
    }
}

#[test]
fn a_mod_file_is_found() {
    let found = found("conf/src/values/mod.rs", "//! Values.\n");
    assert_eq!(
        found,
        [
            "conf/src/values/mod.rs:1: a mod.rs; right would be: conf/src/values.rs beside the folder"
        ]
    );
}

#[test]
fn folders_and_files_without_a_noun_are_found() {
    for path in [
        "conf/src/util.rs",
        "crates/common/src/lib.rs",
        "tests/src/helpers/ask.rs",
        "conf/src/utils.rs",
    ] {
        let found = found(path, "//! It.\n");
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].contains("says nothing"), "{found:?}");
    }
    assert_eq!(found("conf/src/utilisation.rs", "//! It.\n"), [""; 0]);
}

#[test]
fn an_inline_module_without_a_noun_is_found_at_its_line() {
    let found = found("conf/src/lib.rs", "//! It.\npub(crate) mod helpers {\n}\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("conf/src/lib.rs:2: module `helpers`"),
        "{found:?}"
    );
    assert_eq!(
        self::found("conf/src/lib.rs", "//! It.\n// a mod util {\n"),
        [""; 0]
    );
}

#[test]
fn marks_without_an_owner_are_found() {
    for mark in MARKS {
        for line in [
            format!("// {mark}: later"),
            format!("/* {mark} */"),
            format!("// {mark}(): later"),
        ] {
            let found = found("conf/src/lib.rs", &format!("//! It.\n\n{line}\n"));
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].starts_with("conf/src/lib.rs:3: "), "{found:?}");
        }
        assert_eq!(
            found(
                "conf/src/lib.rs",
                &format!("//! It.\n// {mark}(ann): later\n")
            ),
            [""; 0]
        );
        assert_eq!(
            found(
                "conf/src/lib.rs",
                &format!("//! It.\n// {mark}S is a word\n")
            ),
            [""; 0]
        );
    }
}

#[test]
fn clocks_chance_and_sockets_are_found_in_pure_rooms() {
    let planted = [
        "use tokio::sync::mpsc;",
        "let n = rand::random();",
        "let n = fastrand::u8(..);",
        "let now = std::time::Instant::now();",
        "use std::time::{Duration, SystemTime};",
    ];
    for line in planted {
        for folder in ["crates/keyspace", "crates/revlog"] {
            let found = found(
                &format!("{folder}/src/store.rs"),
                &format!("//! It.\n{line}\n"),
            );
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(
                found[0].starts_with(&format!("{folder}/src/store.rs:2: `")),
                "{found:?}"
            );
        }
        assert_eq!(
            found("crates/home/src/remote.rs", &format!("//! It.\n{line}\n")),
            [""; 0]
        );
    }
}

#[test]
fn prose_and_longer_words_are_no_clocks() {
    let text = "//! It knows no tokio.\nlet operand = 1; // an Instant would be wrong\nlet random = operand;\n";
    assert_eq!(found("crates/keyspace/src/store.rs", text), [""; 0]);
}
