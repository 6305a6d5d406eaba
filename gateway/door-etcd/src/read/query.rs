//! A `RangeRequest` as the keyspace's query.

use meridian_etcd_api::{
    EtcdError,
    etcdserverpb::{
        RangeRequest,
        range_request::{SortOrder as WireOrder, SortTarget as WireTarget},
    },
};
use meridian_keyspace::{KeySpan, RangeQuery, Revision, RevisionFilter, SortOrder, SortTarget};

use crate::wire::range::Part;

/// What etcd refuses before it reads. Unknown sort options are refused as by 3.6: 3.4 takes an
/// unknown order for none, and dies of an unknown target.
pub(crate) fn refusal(request: &RangeRequest) -> Option<EtcdError> {
    if request.key.is_empty() {
        Some(EtcdError::EMPTY_KEY)
    } else if order_of(request).is_none() || target_of(request).is_none() {
        Some(EtcdError::INVALID_SORT_OPTION)
    } else {
        None
    }
}

/// Whether the request asks for one live record, whole.
pub(super) fn is_point(request: &RangeRequest) -> bool {
    request.range_end.is_empty()
        && request.revision <= 0
        && !request.keys_only
        && !request.count_only
        && filter_of(request) == RevisionFilter::default()
}

/// The query of a request that [`refusal`] lets pass.
pub(crate) fn query_of(request: &RangeRequest) -> RangeQuery<'_> {
    RangeQuery {
        span: KeySpan::from_wire(&request.key, &request.range_end),
        revision: (request.revision > 0).then(|| Revision::new(request.revision)),
        limit: limit_of(request),
        sort_target: target_of(request).expect("an unknown target was refused"),
        sort_order: order_of(request).expect("an unknown order was refused"),
        filter: filter_of(request),
        count_only: request.count_only,
    }
}

/// What of each record is answered.
pub(crate) fn part_of(request: &RangeRequest) -> Part {
    if request.keys_only {
        Part::WithoutValue
    } else {
        Part::Whole
    }
}

/// A limit; a negative one is none, as in etcd.
pub(crate) fn limit_of(request: &RangeRequest) -> usize {
    usize::try_from(request.limit.max(0)).unwrap_or(usize::MAX)
}

pub(crate) fn filter_of(request: &RangeRequest) -> RevisionFilter {
    RevisionFilter {
        min_mod: request.min_mod_revision,
        max_mod: request.max_mod_revision,
        min_create: request.min_create_revision,
        max_create: request.max_create_revision,
    }
}

pub(crate) fn order_of(request: &RangeRequest) -> Option<SortOrder> {
    let order = WireOrder::try_from(request.sort_order).ok()?;
    Some(match order {
        WireOrder::None => SortOrder::None,
        WireOrder::Ascend => SortOrder::Ascend,
        WireOrder::Descend => SortOrder::Descend,
    })
}

pub(crate) fn target_of(request: &RangeRequest) -> Option<SortTarget> {
    let target = WireTarget::try_from(request.sort_target).ok()?;
    Some(match target {
        WireTarget::Key => SortTarget::Key,
        WireTarget::Version => SortTarget::Version,
        WireTarget::Create => SortTarget::Create,
        WireTarget::Mod => SortTarget::Mod,
        WireTarget::Value => SortTarget::Value,
    })
}
