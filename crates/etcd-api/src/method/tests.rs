//! Goal: the table says what the protos say. Method: hold it against the compiled descriptors.

use std::collections::{BTreeMap, HashSet};

use prost::Message;
use prost_types::FileDescriptorSet;

use super::*;

/// Path to (shape, request type, response type), types in lower case and without their package.
fn described() -> BTreeMap<String, (Shape, String, String)> {
    let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    let files = FileDescriptorSet::decode(bytes)
        .expect("build.rs wrote it")
        .file;
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_lowercase();
    let mut methods = BTreeMap::new();
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                let shape = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => Shape::Unary,
                    (false, true) => Shape::ServerStream,
                    (true, true) => Shape::Bidi,
                    (true, false) => panic!("etcd has no such method"),
                };
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.insert(
                    path,
                    (shape, last(method.input_type()), last(method.output_type())),
                );
            }
        }
    }
    methods
}

macro_rules! tabled {
    ($($variant:ident $path:literal $shape:ident $effect:ident
        $request:path => $response:path [$($route:literal),*];)*) => {{
        use crate::{etcdserverpb, v3electionpb, v3lockpb};
        let last = |name: &str| name.rsplit("::").next().unwrap_or_default().to_lowercase();
        BTreeMap::from([$((
            $path.to_owned(),
            (
                Shape::$shape,
                last(std::any::type_name::<$request>()),
                last(std::any::type_name::<$response>()),
            ),
        )),*])
    }};
}

#[test]
fn table_is_what_the_protos_say() {
    assert_eq!(method_table!(tabled), described());
}

#[test]
fn paths_round_trip() {
    for &method in Method::ALL {
        assert_eq!(Method::from_path(method.path()), Some(method));
    }
    for unknown in [
        "",
        "/",
        "/etcdserverpb.KV/range",
        "etcdserverpb.KV/Range",
        "/etcdserverpb.KV/Range/",
    ] {
        assert_eq!(Method::from_path(unknown), None, "{unknown}");
    }
}

#[test]
fn paths_and_routes_stand_once() {
    let paths: HashSet<_> = Method::ALL.iter().map(|method| method.path()).collect();
    assert_eq!(paths.len(), Method::ALL.len());
    let routes: Vec<_> = Method::ALL
        .iter()
        .flat_map(|method| method.http_routes())
        .collect();
    let unique: HashSet<_> = routes.iter().collect();
    assert_eq!(unique.len(), routes.len());
}

#[test]
fn routes_round_trip() {
    for &method in Method::ALL {
        for route in method.http_routes() {
            assert!(route.starts_with("/v3/"), "{route}");
            assert_eq!(Method::from_http_route(route), Some(method));
        }
        assert_eq!(
            method.http_routes().is_empty(),
            method == Method::KvRangeStream,
            "{method:?}"
        );
    }
    assert_eq!(Method::from_http_route("/v3/kv/range/"), None);
}

#[test]
fn reads_are_exactly_these() {
    let reads: Vec<_> = Method::ALL
        .iter()
        .copied()
        .filter(|method| method.is_repeatable())
        .collect();
    assert_eq!(
        reads,
        [
            Method::KvRange,
            Method::KvRangeStream,
            Method::Watch,
            Method::LeaseTimeToLive,
            Method::LeaseLeases,
            Method::ClusterMemberList,
            Method::MaintenanceStatus,
            Method::MaintenanceHash,
            Method::MaintenanceHashKv,
            Method::MaintenanceSnapshot,
            Method::AuthStatus,
            Method::AuthUserGet,
            Method::AuthUserList,
            Method::AuthRoleGet,
            Method::AuthRoleList,
            Method::ElectionLeader,
            Method::ElectionObserve,
        ]
    );
}

#[test]
fn authenticate_is_no_write_yet_not_repeatable() {
    assert!(!Method::AuthAuthenticate.is_write());
    assert!(!Method::AuthAuthenticate.is_repeatable());
}
