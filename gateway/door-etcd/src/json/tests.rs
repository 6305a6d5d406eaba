//! Goal: errors and unknown routes have the shapes of the home's version. Method: literals taken
//! from etcd 3.4.23 and 3.6.16.

use futures_util::FutureExt;
use http_body_util::BodyExt;
use tonic::Code;

use super::{dialect::Within, *};
use crate::failure::Failure;

fn shown(response: Response<DoorBody>) -> (u16, String, String) {
    let status = response.status().as_u16();
    let kind = response.headers()[header::CONTENT_TYPE]
        .to_str()
        .unwrap()
        .to_owned();
    let body = response
        .into_body()
        .collect()
        .now_or_never()
        .unwrap()
        .unwrap()
        .to_bytes();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

const OLD: Option<&str> = Some("3.4.23");
const NEW: Option<&str> = Some("3.6.16");

fn failure(version: Option<&str>, within: Within, code: Code, text: &'static str) -> (u16, String) {
    let (status, kind, body) =
        shown(Dialect::of(version).failure(&Failure::new(code, text), within));
    assert_eq!(kind, "application/json");
    (status, body)
}

#[test]
fn unary_errors_have_the_shape_of_the_version() {
    let text = "etcdserver: lease already exists";
    let old = r#"{"error":"etcdserver: lease already exists","message":"etcdserver: lease already exists","code":9}"#;
    let code = Code::FailedPrecondition;
    assert_eq!(
        failure(OLD, Within::Body, code, text),
        (412, old.to_owned())
    );
    let new = r#"{"code":9,"message":"etcdserver: lease already exists"}"#;
    assert_eq!(
        failure(NEW, Within::Body, code, text),
        (400, new.to_owned())
    );
}

#[test]
fn stream_errors_have_the_shape_of_the_version() {
    let old = r#"{"error":{"grpc_code":2,"http_code":500,"message":"auth: user name is empty","http_status":"Internal Server Error"}}"#;
    let text = "auth: user name is empty";
    assert_eq!(
        failure(OLD, Within::Stream, Code::Unknown, text),
        (500, old.to_owned())
    );
    let new = "{\"error\":{\"code\":3,\"message\":\"etcdserver: user name is empty\"}}\n";
    let text = "etcdserver: user name is empty";
    assert_eq!(
        failure(NEW, Within::Stream, Code::InvalidArgument, text),
        (400, new.to_owned())
    );
}

#[test]
fn old_errors_escape_what_gos_json_escapes() {
    let (_, old) = failure(OLD, Within::Body, Code::Internal, "<&>");
    assert!(old.contains(r#""message":"\u003c\u0026\u003e""#), "{old}");
}

#[test]
fn statuses_are_the_gateways() {
    let status = |version, code| failure(version, Within::Body, code, "").0;
    assert_eq!(status(NEW, Code::ResourceExhausted), 429);
    assert_eq!(status(OLD, Code::OutOfRange), 400);
    assert_eq!(status(NEW, Code::Unauthenticated), 401);
    assert_eq!(status(NEW, Code::DeadlineExceeded), 504);
    assert_eq!(status(NEW, Code::Unavailable), 503);
    assert_eq!(status(NEW, Code::Cancelled), 499);
    assert_eq!(status(OLD, Code::Cancelled), 408);
}

#[test]
fn wrong_routes_and_methods_have_the_shape_of_the_version() {
    let plain = "text/plain; charset=utf-8".to_owned();
    let json = "application/json".to_owned();
    let (old, new) = (Dialect::of(OLD), Dialect::of(NEW));
    assert_eq!(
        shown(old.not_found()),
        (404, plain.clone(), "Not Found\n".to_owned())
    );
    let body = r#"{"code":5,"message":"Not Found"}"#.to_owned();
    assert_eq!(shown(new.not_found()), (404, json.clone(), body));
    assert_eq!(
        shown(old.wrong_method()),
        (405, plain, "Method Not Allowed\n".to_owned())
    );
    let body = r#"{"code":12,"message":"Method Not Allowed"}"#.to_owned();
    assert_eq!(shown(new.wrong_method()), (501, json, body));
    assert_eq!(shown(old.redirect()).0, 301);
    assert_eq!(shown(new.redirect()).0, 307);
}

#[test]
fn probes_exist_from_the_versions_that_brought_them() {
    let has = |version| Dialect::of(Some(version)).has_probes();
    assert!(!has("3.4.23") && has("3.4.29") && !has("3.5.10") && has("3.5.11") && has("3.6.0"));
    assert!(Dialect::of(None).has_probes());
}

#[test]
fn routes_exist_from_the_versions_that_brought_them() {
    let has = |version, method| Dialect::of(Some(version)).has_route_of(method);
    assert!(!has("3.4.23", Method::AuthStatus) && has("3.5.0", Method::AuthStatus));
    assert!(!has("3.5.0", Method::MaintenanceHashKv) && has("3.5.1", Method::MaintenanceHashKv));
    assert!(has("3.4.23", Method::KvRange));
}
