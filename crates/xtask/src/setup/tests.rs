//! Goal: what setup makes appears whole, and is found by what it says of itself.

use std::{fs, path::Path};

use super::{found::Etcd, put};

fn folder_with(parent: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let folder = parent.join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("etcd"), text).unwrap();
    folder
}

#[test]
fn what_was_made_replaces_what_was_there() {
    let tools = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir_in(&tools).unwrap();
    let made = folder_with(scratch.path(), "made", "new");
    let place = folder_with(tools.path(), "etcd-1", "old");
    put(&made, &place).unwrap();
    assert_eq!(fs::read_to_string(place.join("etcd")).unwrap(), "new");
    assert!(!made.exists());
}

#[test]
fn an_etcd_without_its_client_or_that_does_not_start_is_not_found() {
    let tools = tempfile::tempdir().unwrap();
    let folder = folder_with(tools.path(), "etcd-1", "not a program");
    assert_eq!(Etcd::within(&folder), None);
    fs::write(folder.join("etcdctl"), "").unwrap();
    assert_eq!(Etcd::within(&folder), None);
}
