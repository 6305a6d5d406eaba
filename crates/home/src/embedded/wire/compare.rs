//! Compares from the wire.
//!
//! A compare may name a target or a result that does not exist, or carry another target's value.
//! To etcd a missing value is zero, an unknown target compares as equal, and an unknown result
//! holds.

use bytes::Bytes;
use meridian_etcd_api::etcdserverpb as pb;
use meridian_keyspace::{
    KeyRange,
    txn::{Compare, CompareResult, CompareTarget},
};
use pb::compare::{CompareResult as WireResult, CompareTarget as WireTarget, TargetUnion};

pub(super) fn read(compare: &pb::Compare) -> Compare {
    let range = KeyRange::from_wire(&compare.key, &compare.range_end);
    let result = WireResult::try_from(compare.result).ok().map(result);
    match (target(compare), result) {
        (Some(target), Some(result)) => Compare {
            range,
            target,
            result,
        },
        (None, Some(result)) => constant(range, result == CompareResult::Equal),
        (_, None) => constant(range, true),
    }
}

/// A compare that always holds, or never: versions are never negative.
fn constant(range: KeyRange, holds: bool) -> Compare {
    let result = if holds {
        CompareResult::Greater
    } else {
        CompareResult::Less
    };
    Compare {
        range,
        target: CompareTarget::Version(-1),
        result,
    }
}

fn target(compare: &pb::Compare) -> Option<CompareTarget> {
    let union = compare.target_union.as_ref();
    Some(match WireTarget::try_from(compare.target).ok()? {
        WireTarget::Version => CompareTarget::Version(match union {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        WireTarget::Create => CompareTarget::Create(match union {
            Some(TargetUnion::CreateRevision(revision)) => *revision,
            _ => 0,
        }),
        WireTarget::Mod => CompareTarget::Mod(match union {
            Some(TargetUnion::ModRevision(revision)) => *revision,
            _ => 0,
        }),
        WireTarget::Value => CompareTarget::Value(match union {
            Some(TargetUnion::Value(value)) => value.clone(),
            _ => Bytes::new(),
        }),
        WireTarget::Lease => CompareTarget::Lease(match union {
            Some(TargetUnion::Lease(lease)) => *lease,
            _ => 0,
        }),
    })
}

fn result(result: WireResult) -> CompareResult {
    match result {
        WireResult::Equal => CompareResult::Equal,
        WireResult::Greater => CompareResult::Greater,
        WireResult::Less => CompareResult::Less,
        WireResult::NotEqual => CompareResult::NotEqual,
    }
}
