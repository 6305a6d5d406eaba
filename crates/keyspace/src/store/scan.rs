//! A range read as a machine that is advanced in bounded steps.
//!
//! Owns etcd's rules for count, filters, sorting, limit and `more`. Invariant: between two steps
//! the keyspace may change, as long as the scan's revision stays readable; the answer is the same.
//! It knows no lock: who advances it holds one, and has pinned the revision.

use std::ops::Range;

use super::{
    Keyspace,
    index::{Index, Position},
    node::Leaf,
    order::{self, Collected},
};
use crate::{RangeAnswer, RangeQuery, ReadError, Record, Revision, SpanEnd};

/// What one step may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Keys and nodes looked at.
    pub(crate) touches: usize,
    /// Encoded bytes given to the sink.
    pub(crate) bytes: usize,
}

impl Budget {
    pub(crate) const UNLIMITED: Self = Self {
        touches: usize::MAX,
        bytes: usize::MAX,
    };

    pub(crate) fn is_spent(&self) -> bool {
        self.touches == 0 || self.bytes == 0
    }
}

/// A range read under way.
#[derive(Debug)]
pub(crate) struct RangeScan<'q> {
    query: RangeQuery<'q>,
    /// The revision it reads at.
    at: Revision,
    /// The keyspace's revision when it began.
    current: Revision,
    /// The last key that is done.
    after: Option<Record>,
    /// Records it still takes; then it only counts.
    wanted: usize,
    taken: usize,
    count: i64,
    /// Records that are sorted at the end; none if the query wants them in key order.
    collected: Option<Vec<Record>>,
}

impl<'q> RangeScan<'q> {
    /// Begins at the keyspace's current revision, or the one that the query names.
    pub(crate) fn begin(keyspace: &Keyspace, query: RangeQuery<'q>) -> Result<Self, ReadError> {
        let current = keyspace.revision();
        let at = query.revision.unwrap_or(current);
        keyspace.check_readable(at)?;
        let collected = order::needs_sorting(&query).then(Vec::new);
        let wanted = order::wanted(&query);
        Ok(Self {
            query,
            at,
            current,
            after: None,
            wanted,
            taken: 0,
            count: 0,
            collected,
        })
    }

    /// The revision that must stay readable.
    pub(crate) fn at(&self) -> Revision {
        self.at
    }

    /// Goes on until the budget is spent; true when all keys are done.
    pub(crate) fn advance(
        &mut self,
        keyspace: &Keyspace,
        budget: &mut Budget,
        sink: &mut dyn FnMut(&Record),
    ) -> bool {
        let index = keyspace.index();
        if matches!(self.query.span.end, SpanEnd::Single) {
            let found = index
                .get(self.query.span.start)
                .and_then(|entry| entry.at(self.at));
            if let Some(record) = found {
                self.visit(record, budget, sink);
            }
            return true;
        }
        if self.query.span.is_empty() {
            return true;
        }
        let start = match &self.after {
            Some(record) => index.seek_after(record.key()),
            None => index.seek(self.query.span.start),
        };
        self.walk(index, start, index.seek_end(&self.query.span), budget, sink)
    }

    /// The answer, once all keys are done, and the records if they had to be sorted.
    pub(crate) fn finish(&mut self) -> (RangeAnswer, Collected) {
        let limit = self.query.limit;
        let more = limit > 0 && self.taken > limit;
        let answer = RangeAnswer {
            current: self.current,
            count: self.count,
            more,
        };
        let collected = self
            .collected
            .take()
            .map(|records| order::sort(records, &self.query));
        (answer, collected.unwrap_or_default())
    }

    fn walk(
        &mut self,
        index: &Index,
        mut here: Position,
        end: Position,
        budget: &mut Budget,
        sink: &mut dyn FnMut(&Record),
    ) -> bool {
        while here < end {
            let Some(branch) = index.branches().get(here.branch) else {
                break;
            };
            let whole = here.leaf == 0 && here.entry == 0 && here.branch < end.branch;
            if whole && self.only_counts() && branch.newest() <= self.at {
                self.skip(
                    branch.live(),
                    branch.items().last().and_then(last_record),
                    budget,
                );
                here = Position {
                    branch: here.branch + 1,
                    leaf: 0,
                    entry: 0,
                };
            } else if let Some(leaf) = branch.items().get(here.leaf) {
                let stop = if (here.branch, here.leaf) == (end.branch, end.leaf) {
                    end.entry
                } else {
                    leaf.items().len()
                };
                if !self.walk_leaf(leaf, here.entry..stop, budget, sink) {
                    return false;
                }
                here = Position {
                    leaf: here.leaf + 1,
                    entry: 0,
                    ..here
                };
            } else {
                here = Position {
                    branch: here.branch + 1,
                    leaf: 0,
                    entry: 0,
                };
            }
            if budget.is_spent() && here < end {
                return false;
            }
        }
        true
    }

    /// False if the budget ended before the leaf did.
    fn walk_leaf(
        &mut self,
        leaf: &Leaf,
        part: Range<usize>,
        budget: &mut Budget,
        sink: &mut dyn FnMut(&Record),
    ) -> bool {
        let settled = leaf.newest() <= self.at;
        if settled && self.only_counts() && part == (0..leaf.items().len()) {
            self.skip(leaf.live(), last_record(leaf), budget);
            return true;
        }
        for entry in &leaf.items()[part] {
            if budget.is_spent() {
                return false;
            }
            let visible = if settled {
                entry.live()
            } else {
                entry.at(self.at)
            };
            if let Some(record) = visible {
                self.visit(record, budget, sink);
            }
            budget.touches -= 1;
            if budget.is_spent() {
                self.after = Some(entry.latest().clone());
            }
        }
        true
    }

    fn only_counts(&self) -> bool {
        self.taken >= self.wanted
    }

    /// Counts a node's keys without looking at them.
    fn skip(&mut self, live: usize, last: Option<&Record>, budget: &mut Budget) {
        self.count += live as i64;
        budget.touches = budget.touches.saturating_sub(1);
        if budget.is_spent() {
            self.after = last.cloned().or(self.after.take());
        }
    }

    fn visit(&mut self, record: &Record, budget: &mut Budget, sink: &mut dyn FnMut(&Record)) {
        self.count += 1;
        if self.only_counts() || !order::passes(record, &self.query.filter) {
            return;
        }
        self.taken += 1;
        if let Some(collected) = &mut self.collected {
            collected.push(record.clone());
        } else if self.query.limit == 0 || self.taken <= self.query.limit {
            budget.bytes = budget.bytes.saturating_sub(record.encoded().len());
            sink(record);
        }
    }
}

fn last_record(leaf: &Leaf) -> Option<&Record> {
    leaf.items().last().map(|entry| entry.latest())
}
