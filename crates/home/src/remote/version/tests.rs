//! The order of versions and the table of faults, at its edges.

use super::*;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

#[track_caller]
fn faults(text: &str) -> Vec<&'static str> {
    let warning = warning(version(text)).unwrap_or_default();
    ["15220", "17507", "20221", "20418"]
        .into_iter()
        .filter(|n| warning.contains(n))
        .collect()
}

#[test]
fn versions_are_ordered_by_number_not_by_text() {
    assert!(version("3.4.9") < version("3.4.23"));
    assert!(version("3.5.28") < version("3.6.0"));
    assert!(version("3.10.0") > version("3.9.9"));
    assert_eq!(version("v3.6.0-rc.1"), version("3.6.0"));
    assert_eq!(version("3.4.23").to_string(), "3.4.23");
}

#[test]
fn what_is_no_version_is_refused() {
    for text in ["", "3.4", "3.4.x", "3.4.5.6", "not_decided", "70000.0.0"] {
        assert_eq!(text.parse::<Version>(), Err(VersionError), "{text}");
    }
}

#[test]
fn each_fault_ends_with_the_release_that_mends_it() {
    assert_eq!(faults("3.4.23"), ["15220", "17507", "20221", "20418"]);
    assert_eq!(faults("3.4.25"), ["17507", "20221", "20418"]);
    assert_eq!(faults("3.4.31"), ["20221", "20418"]);
    assert_eq!(faults("3.4.38"), ["20418"]);
    assert_eq!(faults("3.4.41"), ["20418"]);
    assert!(faults("3.4.42").is_empty());
    assert_eq!(faults("3.5.7"), ["15220", "17507", "20221", "20418"]);
    assert_eq!(faults("3.5.27"), ["20418"]);
    assert!(faults("3.5.28").is_empty());
    assert_eq!(faults("3.6.1"), ["20221", "20418"]);
    assert_eq!(faults("3.6.2"), ["20418"]);
    assert!(faults("3.6.9").is_empty());
    assert!(faults("3.7.0").is_empty());
}

#[test]
fn a_fault_begins_with_the_release_that_brought_it() {
    assert_eq!(faults("3.4.19"), ["15220", "17507", "20221"]);
}

#[test]
fn the_warning_names_the_release_that_mends_everything() {
    let text = warning(version("3.4.23")).unwrap();
    assert!(text.ends_with("upgrade to 3.4.42"), "{text}");
    assert!(
        warning(version("3.3.27"))
            .unwrap()
            .contains("older than 3.4.0")
    );
}

#[test]
fn progress_is_trusted_from_the_release_that_mended_it() {
    let trusted = |text: &str| progress_is_trusted(version(text));
    assert!(!trusted("3.3.27") && !trusted("3.4.30") && !trusted("3.5.12"));
    assert!(trusted("3.4.31") && trusted("3.5.13") && trusted("3.6.0") && trusted("4.0.0"));
}
