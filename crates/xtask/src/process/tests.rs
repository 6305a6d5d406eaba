//! Goal: a program's failure can be understood and repeated from the error alone.

use std::{process::Command, time::Duration};

use super::{Overdue, output, run, run_within, typed};

#[test]
fn a_failure_names_the_command_and_its_complaint() {
    let mut command = Command::new("sh");
    let error = output(command.args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("no such thing"), "{text}");
    assert!(
        text.contains("sh -c 'echo no such thing >&2; exit 3'"),
        "{text}"
    );
    assert!(text.contains("exit status: 3"), "{text}");
}

#[test]
fn a_program_has_no_standard_input() {
    run(Command::new("sh").args(["-c", "! read line"])).unwrap();
}

#[test]
fn a_program_beyond_its_limit_is_ended() {
    let error = run_within(
        Command::new("sleep").arg("600"),
        Duration::from_millis(1),
        Overdue::End,
    )
    .unwrap_err();
    assert!(
        format!("{error:#}").contains("`sleep 600` was not done"),
        "{error:#}"
    );
}

#[test]
fn what_was_set_in_the_environment_is_typed_too() {
    let mut command = Command::new("/opt/rust/bin/cargo");
    command
        .env("MERIDIAN_SEED", "7")
        .env_remove("HOME")
        .args(["test", "a b"]);
    assert_eq!(typed(&command), "MERIDIAN_SEED=7 cargo test 'a b'");
}
