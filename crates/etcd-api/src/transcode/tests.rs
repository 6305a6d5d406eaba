//! Goal: bodies and answers are byte for byte those of etcd's gateway. Method: literal expectations; those
//! marked 3.4.23 were taken from a running etcd of that version, ids shortened.

use etcdserverpb::{
    Compare, RangeRequest, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
    WatchResponse,
    compare::{CompareResult, CompareTarget, TargetUnion},
    range_request::SortOrder,
    request_op::Request,
    response_op::Response,
    watch_request::RequestUnion,
};
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type,
};

use super::*;
use crate::mvccpb::{Event, KeyValue, event::EventType};

fn request<M: Message + Default>(method: Method, body: &str) -> M {
    request_in(Dialect::Strict, method, body)
}

fn request_in<M: Message + Default>(dialect: Dialect, method: Method, body: &str) -> M {
    let bytes = request_from_json(method, body.as_bytes(), dialect).expect(body);
    M::decode(bytes).expect("we encoded it")
}

fn refusal(method: Method, body: &str) -> JsonError {
    request_from_json(method, body.as_bytes(), Dialect::Strict).expect_err(body)
}

fn response(method: Method, message: &impl Message) -> String {
    let json = response_to_json(method, &message.encode_to_vec()).expect("we encoded it");
    String::from_utf8(json).expect("JSON is UTF-8")
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        cluster_id: 7,
        member_id: 8,
        revision,
        raft_term: 2,
    })
}

fn key_value() -> KeyValue {
    KeyValue {
        key: "foo".into(),
        create_revision: 2,
        mod_revision: 5,
        version: 3,
        value: "bar".into(),
        lease: 0,
    }
}

const HEADER: &str =
    r#""header":{"cluster_id":"7","member_id":"8","revision":"5","raft_term":"2"}"#;

#[test]
fn range_response_has_etcds_shape() {
    let message = etcdserverpb::RangeResponse {
        header: header(5),
        kvs: vec![key_value()],
        more: false,
        count: 1,
    };
    assert_eq!(
        response(Method::KvRange, &message),
        format!(
            r#"{{{HEADER},"kvs":[{{"key":"Zm9v","create_revision":"2","mod_revision":"5","version":"3","value":"YmFy"}}],"count":"1"}}"#
        )
    );
}

#[test]
fn empty_message_is_an_empty_object_and_an_empty_header_stays() {
    let mut message = etcdserverpb::PutResponse::default();
    assert_eq!(response(Method::KvPut, &message), "{}");
    message.header = Some(ResponseHeader::default());
    assert_eq!(response(Method::KvPut, &message), r#"{"header":{}}"#);
}

#[test]
fn txn_response_spells_its_oneof_in_snake_case() {
    let read = etcdserverpb::RangeResponse {
        header: header(5),
        ..Default::default()
    };
    let message = TxnResponse {
        header: header(5),
        succeeded: true,
        responses: vec![
            ResponseOp {
                response: Some(Response::ResponseRange(read)),
            },
            ResponseOp {
                response: Some(Response::ResponseDeleteRange(Default::default())),
            },
        ],
    };
    assert_eq!(
        response(Method::KvTxn, &message),
        format!(
            r#"{{{HEADER},"succeeded":true,"responses":[{{"response_range":{{{HEADER}}}}},{{"response_delete_range":{{}}}}]}}"#
        )
    );
}

#[test]
fn watch_response_names_deletions_only() {
    let put = Event {
        r#type: EventType::Put.into(),
        kv: Some(key_value()),
        prev_kv: None,
    };
    let gone = KeyValue {
        key: "foo".into(),
        mod_revision: 6,
        ..Default::default()
    };
    let delete = Event {
        r#type: EventType::Delete.into(),
        kv: Some(gone),
        prev_kv: None,
    };
    let message = WatchResponse {
        header: header(5),
        watch_id: 3,
        events: vec![put, delete],
        ..Default::default()
    };
    assert_eq!(
        response(Method::Watch, &message),
        format!(
            r#"{{{HEADER},"watch_id":"3","events":[{{"kv":{{"key":"Zm9v","create_revision":"2","mod_revision":"5","version":"3","value":"YmFy"}}}},{{"type":"DELETE","kv":{{"key":"Zm9v","mod_revision":"6"}}}}]}}"#
        )
    );
}

/// 3.4.23.
#[test]
fn capitals_are_etcds() {
    let lease = etcdserverpb::LeaseTimeToLiveResponse {
        header: None,
        id: 77,
        ttl: 9,
        granted_ttl: 10,
        keys: vec!["a".into()],
    };
    assert_eq!(
        response(Method::LeaseTimeToLive, &lease),
        r#"{"ID":"77","TTL":"9","grantedTTL":"10","keys":["YQ=="]}"#
    );
    let member = etcdserverpb::Member {
        id: 1,
        name: "default".into(),
        peer_ur_ls: vec!["http://p".into()],
        client_ur_ls: vec!["http://c".into()],
        is_learner: true,
    };
    let list = etcdserverpb::MemberListResponse {
        header: None,
        members: vec![member],
    };
    assert_eq!(
        response(Method::ClusterMemberList, &list),
        r#"{"members":[{"ID":"1","name":"default","peerURLs":["http://p"],"clientURLs":["http://c"],"isLearner":true}]}"#
    );
    let alarm = etcdserverpb::AlarmMember {
        member_id: 1,
        alarm: etcdserverpb::AlarmType::Corrupt.into(),
    };
    let alarms = etcdserverpb::AlarmResponse {
        header: None,
        alarms: vec![alarm],
    };
    assert_eq!(
        response(Method::MaintenanceAlarm, &alarms),
        r#"{"alarms":[{"memberID":"1","alarm":"CORRUPT"}]}"#
    );
}

#[test]
fn status_and_hash_responses_have_etcds_shape() {
    let status = etcdserverpb::StatusResponse {
        version: "3.6.0".into(),
        db_size: 1,
        leader: 2,
        raft_index: 3,
        raft_term: 4,
        raft_applied_index: 5,
        errors: vec!["e".into()],
        db_size_in_use: 6,
        is_learner: true,
        storage_version: "3.6.0".into(),
        db_size_quota: 7,
        downgrade_info: Some(etcdserverpb::DowngradeInfo {
            enabled: true,
            target_version: "3.5.0".into(),
        }),
        ..Default::default()
    };
    assert_eq!(
        response(Method::MaintenanceStatus, &status),
        r#"{"version":"3.6.0","dbSize":"1","leader":"2","raftIndex":"3","raftTerm":"4","raftAppliedIndex":"5","errors":["e"],"dbSizeInUse":"6","isLearner":true,"storageVersion":"3.6.0","dbSizeQuota":"7","downgradeInfo":{"enabled":true,"targetVersion":"3.5.0"}}"#
    );
    let hash = etcdserverpb::HashKvResponse {
        hash: u32::MAX,
        compact_revision: -1,
        hash_revision: 4,
        header: None,
    };
    assert_eq!(
        response(Method::MaintenanceHashKv, &hash),
        r#"{"hash":4294967295,"compact_revision":"-1","hash_revision":"4"}"#
    );
}

#[test]
fn response_with_a_nameless_enum_number_is_refused() {
    let alarm = etcdserverpb::AlarmMember {
        member_id: 1,
        alarm: 99,
    };
    let message = etcdserverpb::AlarmResponse {
        header: None,
        alarms: vec![alarm],
    }
    .encode_to_vec();
    let error = response_to_json(Method::MaintenanceAlarm, &message).expect_err("99 has no name");
    assert!(matches!(error, DecodeError::Json(_)));
    let error = response_to_json(Method::MaintenanceAlarm, &[0xff]).expect_err("not a message");
    assert!(matches!(error, DecodeError::Wire(_)));
}

/// 3.4.23.
#[test]
fn nothing_is_the_empty_request() {
    for body in ["", "  \n", "{}", "null"] {
        for &method in Method::ALL {
            assert!(
                request_from_json(method, body.as_bytes(), Dialect::Lenient)
                    .expect(body)
                    .is_empty(),
                "{method:?}"
            );
        }
    }
}

#[test]
fn every_method_writes_its_empty_response() {
    for &method in Method::ALL {
        assert_eq!(
            response_to_json(method, &[]).expect("empty is valid"),
            b"{}",
            "{method:?}"
        );
    }
}

/// 3.4.23.
#[test]
fn numbers_are_accepted_in_both_forms() {
    for body in [r#"{"TTL":"10","ID":0}"#, r#"{"TTL":10,"ID":"0"}"#] {
        let grant: etcdserverpb::LeaseGrantRequest = request(Method::LeaseGrant, body);
        assert_eq!((grant.ttl, grant.id), (10, 0));
    }
    let grant: etcdserverpb::LeaseGrantRequest = request(
        Method::LeaseGrant,
        r#"{"TTL":"-9223372036854775808","ID":9223372036854775807}"#,
    );
    assert_eq!((grant.ttl, grant.id), (i64::MIN, i64::MAX));
}

#[test]
fn enums_are_accepted_by_name_and_number() {
    for body in [
        r#"{"sort_order":"DESCEND"}"#,
        r#"{"sort_order":2}"#,
        r#"{"sortOrder":"DESCEND"}"#,
    ] {
        let range: RangeRequest = request(Method::KvRange, body);
        assert_eq!(range.sort_order(), SortOrder::Descend);
    }
    assert_eq!(
        refusal(Method::KvRange, r#"{"sort_order":"descend"}"#).field(),
        Some("sort_order")
    );
}

#[test]
fn txn_oneofs_are_accepted_in_both_spellings() {
    let expected = TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Create.into(),
            key: "foo".into(),
            target_union: Some(TargetUnion::CreateRevision(2)),
            range_end: Bytes::new(),
        }],
        success: vec![RequestOp {
            request: Some(Request::RequestPut(etcdserverpb::PutRequest {
                key: "foo".into(),
                value: "bar".into(),
                ..Default::default()
            })),
        }],
        failure: vec![],
    };
    for body in [
        r#"{"compare":[{"target":"CREATE","key":"Zm9v","createRevision":"2"}],"success":[{"requestPut":{"key":"Zm9v","value":"YmFy"}}]}"#,
        r#"{"compare":[{"result":"EQUAL","target":1,"key":"Zm9v","create_revision":2}],"success":[{"request_put":{"key":"Zm9v","value":"YmFy"}}]}"#,
    ] {
        assert_eq!(request::<TxnRequest>(Method::KvTxn, body), expected);
    }
}

#[test]
fn watch_request_is_accepted() {
    let watch: etcdserverpb::WatchRequest = request(
        Method::Watch,
        r#"{"create_request":{"key":"Zm9v","range_end":"Zm9w","filters":["NOPUT",1]}}"#,
    );
    let Some(RequestUnion::CreateRequest(create)) = watch.request_union else {
        panic!("{watch:?}")
    };
    assert_eq!(
        (&create.key[..], &create.range_end[..]),
        (&b"foo"[..], &b"fop"[..])
    );
    assert_eq!(create.filters, [0, 1]);
}

/// 3.4.23.
#[test]
fn unknown_fields_nulls_and_what_follows_are_ignored() {
    let put: etcdserverpb::PutRequest = request(
        Method::KvPut,
        r#"{"key":"Zm9v","value":null,"lease":null,"wish":{"key":[1]},"prevKv":true} trailing"#,
    );
    assert_eq!(
        (&put.key[..], &put.value[..], put.lease, put.prev_kv),
        (&b"foo"[..], &b""[..], 0, true)
    );
}

/// 3.4.23.
#[test]
fn base64_is_read_as_go_reads_it() {
    for (text, bytes) in [
        ("Zm9v\\n", &b"foo"[..]),
        ("Zm9=", b"fo"),
        ("+/+/", b"\xfb\xff\xbf"),
        ("", b""),
    ] {
        let put: etcdserverpb::PutRequest =
            request(Method::KvPut, &format!(r#"{{"key":"{text}"}}"#));
        assert_eq!(&put.key[..], bytes, "{text}");
    }
    for text in ["Zm9", "Zm-_", "Zm8", "-_-_", "Zm9v=", "Zm 9v"] {
        let error = refusal(Method::KvPut, &format!(r#"{{"key":"{text}"}}"#));
        assert_eq!(error.field(), Some("key"), "{text}");
    }
}

#[test]
fn url_safe_base64_is_refused_wherever_bytes_stand() {
    for (method, body, field) in [
        (
            Method::KvTxn,
            r#"{"success":[{},{"requestPut":{"key":"Zm9v","value":"-_-_"}}]}"#,
            "success[1].requestPut.value",
        ),
        (Method::KvRange, r#"{"rangeEnd":"-_-_"}"#, "rangeEnd"),
        (
            Method::Watch,
            r#"{"create_request":{"range_end":"-_-_"}}"#,
            "create_request.range_end",
        ),
        (Method::LockLock, r#"{"name":"-_-_"}"#, "name"),
        (
            Method::ElectionResign,
            r#"{"leader":{"key":"-_-_"}}"#,
            "leader.key",
        ),
        (
            Method::AuthRoleGrantPermission,
            r#"{"name":"-_-_","perm":{"key":"-_-_"}}"#,
            "perm.key",
        ),
    ] {
        assert_eq!(refusal(method, body).field(), Some(field), "{body}");
    }
}

/// 3.6.16.
#[test]
fn since_3_6_base64_may_be_url_safe_and_bare() {
    for (text, bytes) in [
        ("Zm8=", &b"fo"[..]),
        ("Zm8", b"fo"),
        ("Zm9", b"fo"),
        ("Zg", b"f"),
        ("-_8=", b"\xfb\xff"),
        ("-_8", b"\xfb\xff"),
        ("+/8", b"\xfb\xff"),
        ("Z\\n\\n\\nm8", b"fo"),
        ("", b""),
    ] {
        let body = format!(r#"{{"key":"{text}"}}"#);
        let put: etcdserverpb::PutRequest = request_in(Dialect::Lenient, Method::KvPut, &body);
        assert_eq!(&put.key[..], bytes, "{text}");
    }
    for text in ["-/8=", "-+8=", "Zm8==", "Zm8=\\n", "Z\\nm8", "Z", "!!"] {
        let body = format!(r#"{{"key":"{text}"}}"#);
        let error = request_from_json(Method::KvPut, body.as_bytes(), Dialect::Lenient);
        assert_eq!(error.expect_err(text).field(), Some("key"), "{text}");
    }
}

/// 3.6.16.
#[test]
fn since_3_6_an_unknown_enum_name_is_as_if_it_were_not_there() {
    let range: RangeRequest = request_in(
        Dialect::Lenient,
        Method::KvRange,
        r#"{"key":"Zm8","sort_order":"SIDEWAYS","sortTarget":"2"}"#,
    );
    assert_eq!((range.sort_order, range.sort_target), (0, 0));
    let txn: TxnRequest = request_in(
        Dialect::Lenient,
        Method::KvTxn,
        r#"{"compare":[{"target":"NOPE","result":"GREATER","value":""}]}"#,
    );
    assert_eq!((txn.compare[0].target, txn.compare[0].result), (0, 1));
    let watch: etcdserverpb::WatchRequest = request_in(
        Dialect::Lenient,
        Method::Watch,
        r#"{"create_request":{"filters":["NOPE","NODELETE",0]}}"#,
    );
    let Some(RequestUnion::CreateRequest(create)) = watch.request_union else {
        panic!("{watch:?}")
    };
    assert_eq!(create.filters, [1, 0]);
    for body in [r#"{"sort_order":true}"#, r#"{"sort_order":1.5}"#] {
        let error = request_from_json(Method::KvRange, body.as_bytes(), Dialect::Lenient);
        assert_eq!(error.expect_err(body).field(), Some("sort_order"));
    }
    for body in [r#"{"sort_order":"SIDEWAYS"}"#, r#"{"sort_order":"2"}"#] {
        assert_eq!(refusal(Method::KvRange, body).field(), Some("sort_order"));
    }
}

#[test]
fn errors_name_the_field() {
    let error = refusal(
        Method::KvTxn,
        r#"{"success":[{"request_put":{"key":"Zm9v","lease":"x"}}]}"#,
    );
    assert_eq!(
        error.to_string(),
        "success[0].request_put.lease: invalid digit found in string"
    );
    assert_eq!(refusal(Method::KvPut, r#"{"key":7}"#).field(), Some("key"));
    assert_eq!(
        refusal(Method::KvPut, r#"{"prev_kv":"true"}"#).field(),
        Some("prev_kv")
    );
    assert_eq!(
        refusal(Method::KvPut, r#"{"lease":1.5}"#).field(),
        Some("lease")
    );
    assert_eq!(refusal(Method::KvPut, r#"{"key":"Zm9v""#).field(), None);
    assert_eq!(refusal(Method::KvPut, "[]").field(), None);
    assert_eq!(refusal(Method::KvPut, "7").field(), None);
}

/// Deep nesting is refused, not overflowed.
#[test]
fn nesting_is_bounded() {
    let body = r#"{"success":[{"request_txn":"#.repeat(100_000);
    assert_eq!(refusal(Method::KvTxn, &body).field(), None);
}

macro_rules! request_types {
    ($($variant:ident $path:literal $shape:ident $effect:ident
        $request:path => $response:path [$($route:literal),*];)*) => {
        [$((Method::$variant, $path)),*]
    };
}

/// Within the messages a request can hold, a name is of type `bytes`, or an enum with these names, exactly
/// when the tables say so.
#[test]
fn the_tables_of_fields_are_what_the_protos_say() {
    let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    let files = FileDescriptorSet::decode(bytes)
        .expect("build.rs wrote it")
        .file;
    for (method, path) in method_table!(request_types) {
        let mut open = vec![input_type(&files, path)];
        let mut seen = Vec::new();
        while let Some(name) = open.pop() {
            for field in &message(&files, &name).expect("declared").field {
                for spelling in [field.name(), field.json_name()] {
                    let tabled = dialect::bytes_fields(method).contains(&spelling);
                    assert_eq!(field.r#type() == Type::Bytes, tabled, "{name}.{spelling}");
                    let declared = match field.r#type() {
                        Type::Enum => enum_names(&files, field.type_name()),
                        _ => vec![],
                    };
                    let exists = dialect::names(method, spelling);
                    assert_eq!(declared.is_empty(), exists.is_none(), "{name}.{spelling}");
                    if let Some(exists) = exists {
                        assert!(declared.iter().all(|name| exists(name)) && !exists("NOPE"));
                    }
                }
                if field.r#type() == Type::Message && !seen.contains(&field.type_name().to_owned())
                {
                    seen.push(field.type_name().to_owned());
                    open.push(field.type_name().to_owned());
                }
            }
        }
    }
}

fn input_type(files: &[FileDescriptorProto], path: &str) -> String {
    let (service, rpc) = path[1..].split_once('/').expect("a path");
    files
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file, service)))
        .filter(|(file, candidate)| format!("{}.{}", file.package(), candidate.name()) == service)
        .flat_map(|(_, service)| service.method.iter())
        .find(|method| method.name() == rpc)
        .expect("declared")
        .input_type()
        .to_owned()
}

fn message<'a>(files: &'a [FileDescriptorProto], name: &str) -> Option<&'a DescriptorProto> {
    files.iter().find_map(|file| {
        let inside = name.strip_prefix(&format!(".{}.", file.package()))?;
        let mut messages = file.message_type.iter();
        messages.find(|message| message.name() == inside)
    })
}

fn enum_names(files: &[FileDescriptorProto], name: &str) -> Vec<String> {
    let outside = files.iter().flat_map(|file| {
        let of_file = file.enum_type.iter();
        of_file.map(move |found| (format!(".{}.{}", file.package(), found.name()), found))
    });
    let inside = files.iter().flat_map(|file| {
        file.message_type.iter().flat_map(move |message| {
            let scope = format!(".{}.{}", file.package(), message.name());
            let of_message = message.enum_type.iter();
            of_message.map(move |found| (format!("{scope}.{}", found.name()), found))
        })
    });
    let (_, found) = outside
        .chain(inside)
        .find(|(candidate, _)| candidate == name)
        .expect("declared");
    let names = found.value.iter().map(|value| value.name().to_owned());
    names.collect()
}
