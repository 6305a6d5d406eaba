//! Goal: the right fields of `/proc` are read.

use super::*;

#[test]
fn cpu_is_user_and_system_time_whatever_the_name_holds() {
    let stat = "77 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0";
    assert_eq!(cpu_of(stat), Some(Duration::from_secs(3)));
    assert_eq!(cpu_of("nothing"), None);
}

#[test]
fn memory_of_this_process_is_more_than_its_anonymous_part() {
    let memory = ProcessId::own().memory().unwrap();
    assert!(memory.anonymous_bytes > 0 && memory.resident_bytes > memory.anonymous_bytes);
}

#[test]
fn a_process_that_has_ended_is_an_error_that_names_it() {
    let error = ProcessId(u32::MAX).cpu().unwrap_err().to_string();
    assert!(error.contains("4294967295"), "{error}");
}
