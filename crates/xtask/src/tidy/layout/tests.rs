//! Goal: every layout rule can fail, and says which it is.

use super::*;

#[track_caller]
fn check(place: &str, text: &str, wanted: &[&str]) {
    assert_eq!(check_file(Path::new(place), text), wanted);
}

#[test]
fn a_file_opens_with_its_purpose() {
    check("a/b.rs", "//! Owns b.\n", &[]);
    check(
        "a/b.rs",
        "use std;\n",
        &["a/b.rs: opens without `//!`: say what it owns, its invariant, what it does not know"],
    );
    check(
        "a/b.rs",
        "//! placeholder\n",
        &["a/b.rs: is a placeholder: it has no code yet"],
    );
}

#[test]
fn names_are_nouns_and_files_stand_beside_their_folder() {
    check(
        "a/mod.rs",
        "//! a\n",
        &["a/mod.rs: is a mod.rs: name it after its folder, beside it"],
    );
    check(
        "a/util.rs",
        "//! a\n",
        &["a/util.rs: `util` is no noun of ours: name it after what is inside"],
    );
    check(
        "common/b.rs",
        "//! a\n",
        &["common/b.rs: `common` is no noun of ours: name it after what is inside"],
    );
    check(
        "a.rs",
        "//! a\npub(crate) mod helper;\n",
        &["a.rs: line 2: module `helper` is no noun of ours"],
    );
    check("a.rs", "//! a\nmod commonplace;\n", &[]);
}

#[test]
fn a_note_has_an_owner() {
    let text = format!(
        "//! a\n// {NOTE}(ann): later\n// {NOTE}: later\n// {NOTE}() x\nlet {NOTE}S = 1;\n"
    );
    check(
        "a.rs",
        &text,
        &[
            &format!("a.rs: line 3: a {NOTE} has an owner, as in {NOTE}(name)"),
            &format!("a.rs: line 4: a {NOTE} has an owner, as in {NOTE}(name)"),
        ],
    );
}

#[test]
fn a_pure_room_reads_no_clock() {
    let text = "//! a\n// SystemTime is a word here\nlet t = SystemTime::now();\n";
    let wanted =
        "crates/keyspace/src/a.rs: line 3: SystemTime in a pure room: let the caller give it";
    check("crates/keyspace/src/a.rs", text, &[wanted]);
    check("crates/keyspace/src/a/tests.rs", text, &[]);
    check("crates/home/src/a.rs", text, &[]);
}
