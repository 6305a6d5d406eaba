//! The codec of a keepalive stream.

use super::*;

#[test]
fn a_renewal_reads_as_it_was_written() {
    let facts = Facts {
        cluster_id: u64::MAX,
        member_id: 2,
        raft_term: 3,
        revision: Revision::new(4),
    };
    let renewal = Renewal {
        lease: LeaseId::new(-5),
        ttl: 60,
        facts,
    };
    assert_eq!(super::renewal(&answer(&renewal)).unwrap(), renewal);
    assert_eq!(lease_of(&request(renewal.lease)).unwrap(), renewal.lease);
}

#[test]
fn garbage_is_an_error_of_unknown_outcome() {
    assert_eq!(
        super::renewal(&[0xff, 0xff]).unwrap_err().fate,
        Fate::Unknown
    );
}
