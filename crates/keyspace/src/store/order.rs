//! etcd's rules for which records of a range are taken, and in which order they come out.
//!
//! The order is: the keys of the range at the revision, in key order; the bounds on revisions;
//! the sort; the limit. Two turns of etcd's are kept. A target other than the key with no order
//! sorts ascending, but the limit has then already cut the keys (etcd asks its store for one key
//! more than the limit unless an order or a bound is given). And where etcd leaves the order of
//! equals to its sort routine, we keep them in key order, which is what etcd's answer shows for
//! up to twelve records.

use crate::{RangeQuery, Record, RevisionFilter, SortOrder, SortTarget};

/// Records in the order in which they are answered.
pub(crate) type Collected = Vec<Record>;

/// Whether the records do not come out in key order.
pub(crate) fn needs_sorting(query: &RangeQuery<'_>) -> bool {
    match (query.sort_target, query.sort_order) {
        (SortTarget::Key, SortOrder::None | SortOrder::Ascend) => false,
        (SortTarget::Key, SortOrder::Descend) => true,
        (SortTarget::Version | SortTarget::Create | SortTarget::Mod | SortTarget::Value, _) => true,
    }
}

/// How many records are taken in key order before the rest is only counted: one beyond the limit,
/// which tells whether there are more.
pub(crate) fn wanted(query: &RangeQuery<'_>) -> usize {
    let sorts_all = match query.sort_order {
        // A bound on revisions makes etcd sort all, too.
        SortOrder::None => needs_sorting(query) && query.filter != RevisionFilter::default(),
        SortOrder::Ascend | SortOrder::Descend => needs_sorting(query),
    };
    if query.count_only {
        0
    } else if query.limit == 0 || sorts_all {
        usize::MAX
    } else {
        query.limit.saturating_add(1)
    }
}

/// Whether a record lies in the bounds.
pub(crate) fn passes(record: &Record, filter: &RevisionFilter) -> bool {
    if *filter == RevisionFilter::default() {
        return true;
    }
    let RevisionFilter {
        min_mod,
        max_mod,
        min_create,
        max_create,
    } = *filter;
    let fields = record.fields();
    let within = |revision: i64, min: i64, max: i64| {
        (min == 0 || revision >= min) && (max == 0 || revision <= max)
    };
    within(fields.mod_revision.get(), min_mod, max_mod)
        && within(fields.create_revision.get(), min_create, max_create)
}

/// Sorts records that are in key order and cuts them to the limit.
pub(crate) fn sort(mut records: Vec<Record>, query: &RangeQuery<'_>) -> Collected {
    let descend = match query.sort_order {
        SortOrder::None | SortOrder::Ascend => false,
        SortOrder::Descend => true,
    };
    match query.sort_target {
        SortTarget::Key if descend => records.reverse(),
        SortTarget::Key => {}
        SortTarget::Version => {
            sort_by_number(&mut records, descend, |record| record.fields().version)
        }
        SortTarget::Create => sort_by_number(&mut records, descend, |record| {
            record.fields().create_revision.get()
        }),
        SortTarget::Mod => {
            sort_by_number(&mut records, descend, |record| record.mod_revision().get())
        }
        SortTarget::Value => records.sort_by(|a, b| {
            let order = a.fields().value.cmp(b.fields().value);
            if descend { order.reverse() } else { order }
        }),
    }
    if query.limit > 0 {
        records.truncate(query.limit);
    }
    records
}

fn sort_by_number(records: &mut [Record], descend: bool, number: impl Fn(&Record) -> i64) {
    if descend {
        records.sort_by_cached_key(|record| std::cmp::Reverse(number(record)));
    } else {
        records.sort_by_cached_key(number);
    }
}
