//! Goal: installing starts no service and leaves no policy behind. Method: an `apt-get` that writes down what
//! it was asked and whether services were held back.

use std::{fs, path::Path};

use super::{Debian, Held, POLICY};

/// Fails its first `install`, as on a machine without package lists.
const APT: &str = r#"
folder=$(dirname "$0")
echo "$* | held: $(test -x "$folder/policy-rc.d" && echo yes)" >> "$folder/asked"
case "$*" in
  *install*) if test -e "$folder/updated"; then exit 0; else exit 100; fi ;;
  *update*) touch "$folder/updated" ;;
esac
"#;

fn debian(folder: &Path) -> Debian {
    let apt = folder.join("apt-get");
    fs::write(&apt, APT).unwrap();
    Debian {
        apt: vec!["/bin/sh".into(), apt.into()],
        policy: folder.join("policy-rc.d"),
    }
}

#[test]
fn a_machine_without_package_lists_gets_them_first() {
    let folder = tempfile::tempdir().unwrap();
    debian(folder.path()).install().unwrap();
    let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
    let verbs: Vec<_> = asked
        .lines()
        .filter_map(|line| line.split(' ').nth(3))
        .collect();
    assert_eq!(verbs, ["install", "update", "install"], "{asked}");
    assert!(
        asked.contains("install -y --no-install-recommends etcd-server etcd-client"),
        "{asked}"
    );
}

#[test]
fn services_are_held_back_while_it_installs_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let debian = debian(folder.path());
    debian.install().unwrap();
    let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
    assert!(
        asked.lines().all(|line| line.ends_with("held: yes")),
        "{asked}"
    );
    assert!(!debian.policy.exists());
}

#[test]
fn a_policy_left_by_a_run_cut_off_is_known_as_ours_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy-rc.d");
    fs::write(&policy, POLICY).unwrap();
    drop(Held::hold(&policy).unwrap());
    assert!(!policy.exists());
}

#[test]
fn a_policy_of_the_machine_that_may_start_services_stops_the_install() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy-rc.d");
    std::os::unix::fs::symlink("/bin/true", &policy).unwrap();
    let error = Held::hold(&policy).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("would start etcd: install it by hand"),
        "{error:#}"
    );
    assert!(policy.exists());
}
