//! Goal: the revision of a header is found in any answer of etcd's.

use meridian_etcd_api::etcdserverpb::{PutResponse, ResponseHeader, StatusResponse};
use proptest::prelude::*;
use prost::Message;

use super::*;

#[test]
fn the_headers_revision_is_found() {
    let header = ResponseHeader {
        cluster_id: 1,
        member_id: 2,
        revision: 42,
        raft_term: 3,
    };
    let put = PutResponse {
        header: Some(header),
        prev_kv: None,
    }
    .encode_to_vec();
    assert_eq!(header_revision(&put), Some(Revision::new(42)));
    let none = StatusResponse {
        version: "3.6".to_owned(),
        ..Default::default()
    };
    assert_eq!(header_revision(&none.encode_to_vec()), None);
    assert_eq!(header_revision(b"\xff\xff"), None);
    assert_eq!(header_revision(b""), None);
}

proptest! {
    #[test]
    fn any_bytes_are_looked_through_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = header_revision(&bytes);
        let _ = number_field(&bytes, 1);
    }
}
