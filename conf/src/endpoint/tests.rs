//! Goal: what is no client URL is told apart, and the rest prints as it was given.

use super::*;

#[test]
fn client_urls_print_as_they_were_given() {
    for url in [
        "http://127.0.0.1:2379",
        "https://etcd-1.example.org:2379",
        "http://[::1]:1",
    ] {
        assert_eq!(url.parse::<Endpoint>().unwrap().to_string(), url);
    }
    let tidied: Endpoint = "http://ETCD:2379/".parse().unwrap();
    assert_eq!(tidied.to_string(), "http://etcd:2379");
}

#[test]
fn what_is_no_client_url_is_told_apart() {
    for (text, error) in [
        ("127.0.0.1:2379", EndpointError::NoScheme),
        ("", EndpointError::NoScheme),
        ("unix://etcd:2379", EndpointError::UnknownScheme),
        ("http://root:secret@etcd:2379", EndpointError::Credentials),
        ("http://etcd:2379/v3", EndpointError::Path),
        ("http://etcd:2379?a=b", EndpointError::Path),
        ("http://:2379", EndpointError::Host),
        ("http://a b:2379", EndpointError::Host),
        ("http://[::g]:2379", EndpointError::Host),
        ("http://::1:2379", EndpointError::Host),
        ("http://etcd", EndpointError::Port),
        ("http://[::1]", EndpointError::Port),
        ("http://etcd:0", EndpointError::Port),
        ("http://etcd:65536", EndpointError::Port),
        ("http://etcd:http", EndpointError::Port),
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
    }
}
