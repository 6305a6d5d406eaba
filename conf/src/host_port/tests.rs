//! Goal: what is no host and port is told apart, and the rest prints as it was given.

use super::*;

#[test]
fn hosts_and_ports_print_as_they_were_given() {
    for text in ["127.0.0.1:7379", "hub-1.us.example.org:7379", "[::1]:1"] {
        assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
    }
    assert_eq!(
        "HUB:7379".parse::<HostPort>().unwrap().to_string(),
        "hub:7379"
    );
}

#[test]
fn what_is_no_host_and_port_is_told_apart() {
    for (text, error) in [
        ("https://hub:7379", HostPortError::Scheme),
        ("", HostPortError::Host),
        (":7379", HostPortError::Host),
        ("a b:7379", HostPortError::Host),
        ("root:secret@hub:7379", HostPortError::Host),
        ("hub/path:7379", HostPortError::Host),
        ("::1:7379", HostPortError::Host),
        ("[::g]:7379", HostPortError::Host),
        ("hub", HostPortError::Port),
        ("[::1]", HostPortError::Port),
        ("hub:0", HostPortError::Port),
        ("hub:65536", HostPortError::Port),
    ] {
        assert_eq!(text.parse::<HostPort>(), Err(error), "{text}");
    }
}
