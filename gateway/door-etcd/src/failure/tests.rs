//! Goal: statuses travel as gRPC spells them.

use super::*;

#[test]
fn message_is_percent_encoded_where_grpc_says_so() {
    let failure = Failure::new(Code::Unavailable, "100% of ü\n");
    let mut headers = HeaderMap::new();
    failure.write_to(&mut headers);
    assert_eq!(headers["grpc-status"], "14");
    assert_eq!(headers["grpc-message"], "100%25 of %C3%BC%0A");
}

#[test]
fn etcds_errors_keep_code_and_text() {
    let failure = Failure::from(EtcdError::COMPACTED);
    assert_eq!(failure.code, Code::OutOfRange);
    assert_eq!(
        failure.message,
        "etcdserver: mvcc: required revision has been compacted"
    );
}

#[test]
fn a_revision_that_is_only_forgotten_here_is_asked_of_the_home() {
    let floor = meridian_keyspace::Revision::new(9);
    assert!(matches!(
        Unread::from(ReadError::Forgotten { floor }),
        Unread::AskHome
    ));
    let compacted = Unread::from(ReadError::Compacted { compacted: floor });
    assert!(matches!(compacted, Unread::Failed(f) if f.code == Code::OutOfRange));
}
