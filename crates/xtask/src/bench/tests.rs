//! Goal: a benchmark is run with what was asked for, and a wrong name says which there are.

use std::path::Path;

use super::{BENCHES, Options, command, find};
use crate::{process, workspace::Workspace};

#[test]
fn an_unknown_name_lists_what_there_is() {
    let text = format!("{:#}", find("gatway").err().unwrap());
    assert!(
        text.contains("no benchmark \"gatway\"") && text.contains("cargo xtask bench gateway"),
        "{text}"
    );
}

#[test]
fn the_json_file_is_named_from_where_one_stands() {
    let workspace = Workspace::open().unwrap();
    let options = Options {
        name: None,
        quick: true,
        json: Some("out.json".into()),
        more: vec!["--rounds=1".to_owned()],
    };
    let typed = process::typed(&command(
        &workspace,
        &BENCHES[0],
        &options,
        Path::new("/home/ann"),
    ));
    assert!(
        typed.contains("dist/meridian-bench gateway --meridian-bin "),
        "{typed}"
    );
    assert!(
        typed.ends_with("dist/meridian --quick --json /home/ann/out.json --rounds=1"),
        "{typed}"
    );
}
