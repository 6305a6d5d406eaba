//! What of a client's metadata reaches the home.

use super::*;

#[test]
fn the_list_of_one_hop_is_sorted_for_its_search() {
    assert!(OF_ONE_HOP.is_sorted());
}

#[test]
fn credentials_and_etcds_own_metadata_go_on_and_hop_headers_do_not() {
    let mut metadata = MetadataMap::new();
    for (name, value) in [
        ("token", "abc"),
        ("authorization", "Bearer abc"),
        ("hasleader", "true"),
        ("client-api-version", "3.5"),
        ("x-trace", "1"),
        ("grpc-timeout", "1S"),
        ("grpc-accept-encoding", "gzip"),
        ("te", "trailers"),
        ("user-agent", "grpc-go"),
        ("meridian-min-revision", "7"),
    ] {
        metadata.insert(name, value.parse().unwrap());
    }
    metadata.append("x-trace", "2".parse().unwrap());
    metadata.insert_bin(
        "x-data-bin",
        tonic::metadata::MetadataValue::from_bytes(&[0, 255]),
    );
    let forwarded = forwarded(&metadata);
    let mut names: Vec<_> = forwarded.as_ref().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "authorization",
            "client-api-version",
            "hasleader",
            "token",
            "x-data-bin",
            "x-trace"
        ]
    );
    assert_eq!(forwarded.get_all("x-trace").iter().count(), 2);
}
