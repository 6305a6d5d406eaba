//! Which texts are endpoints, and what is said of those that are not.

use super::*;

#[track_caller]
fn parts(text: &str) -> (Scheme, String, u16, String) {
    let url: EndpointUrl = text.parse().unwrap();
    (
        url.scheme(),
        url.host().to_owned(),
        url.port(),
        url.origin().to_string(),
    )
}

#[track_caller]
fn refusal(text: &str) -> String {
    text.parse::<EndpointUrl>().unwrap_err().to_string()
}

#[test]
fn plain_and_secure_urls_are_read() {
    let plain = (
        Scheme::Http,
        "127.0.0.1".into(),
        2379,
        "http://127.0.0.1:2379/".into(),
    );
    assert_eq!(parts("http://127.0.0.1:2379"), plain);
    assert_eq!(parts("http://127.0.0.1:2379/"), plain);
    let secure = (
        Scheme::Https,
        "etcd-0.home".into(),
        443,
        "https://etcd-0.home:443/".into(),
    );
    assert_eq!(parts("https://etcd-0.home:443"), secure);
}

#[test]
fn an_ipv6_address_loses_its_brackets_only_to_connect() {
    assert_eq!(
        parts("http://[::1]:2379"),
        (
            Scheme::Http,
            "::1".into(),
            2379,
            "http://[::1]:2379/".into()
        )
    );
}

#[test]
fn a_bare_host_and_port_is_refused_with_the_url_to_write() {
    assert_eq!(
        refusal("10.0.0.1:2379"),
        r#"endpoint "10.0.0.1:2379" has no scheme; write it as http://10.0.0.1:2379"#
    );
    assert_eq!(
        refusal("[::1]:2379"),
        r#"endpoint "[::1]:2379" has no scheme; write it as http://[::1]:2379"#
    );
}

#[test]
fn what_an_endpoint_cannot_have_is_named() {
    assert_eq!(
        refusal("https://etcd"),
        r#"endpoint "https://etcd" has no port; write it as https://etcd:2379"#
    );
    assert!(refusal("unix:///run/etcd.sock").contains("a scheme that is not http or https"));
    assert!(refusal("http://a:1/v3").contains("has a path"));
    assert!(refusal("http://root:x@a:1").ends_with("write it as http://a:1"));
    assert!(refusal("http://a:0").contains("has no port"));
    assert!(refusal("http://:2379").contains("has no"));
    assert!(refusal("http://a b:1").contains("has no valid host and port"));
    assert!(refusal("").contains("has no scheme"));
}
