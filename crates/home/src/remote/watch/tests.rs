//! What the end of a watch says.

use super::*;

#[test]
fn a_cancel_is_told_by_its_cause() {
    let compacted = WatchBatch {
        compacted: Revision::new(9),
        ..WatchBatch::default()
    };
    assert!(
        matches!(canceled(&compacted), FollowError::Compacted { compacted } if compacted.get() == 9)
    );
    let no_leader = WatchBatch {
        cancel_reason: "etcdserver: no leader".into(),
        ..WatchBatch::default()
    };
    let FollowError::Call(error) = canceled(&no_leader) else {
        panic!("not a call error")
    };
    assert_eq!((error.code, error.fate), (Code::Unavailable, Fate::Refused));
}
