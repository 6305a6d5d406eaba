//! The keyspace done naively, for tests: a whole map for every revision, and transactions that
//! follow etcd's description step by step. Owns what is right; knows nothing of speed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::{
    KeyRange, KeySpan, LeaseId, RangeAnswer, RangeQuery, Record, Revision, RevisionFilter,
    SortOrder, SortTarget,
    record::Fields,
    txn::{
        Compare, CompareResult, CompareTarget, DeleteOp, Op, OpAnswer, PutOp, RangeOp, Txn,
        TxnAnswer,
    },
};

type State = BTreeMap<Vec<u8>, Record>;

/// Every state since revision 1.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    states: Vec<State>,
    /// Records written by each revision from 2 on, in operation order.
    pub(crate) written: Vec<Vec<Record>>,
}

/// A transaction failed; the kinds are told apart by unit tests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed;

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            states: vec![State::new()],
            written: Vec::new(),
        }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.states.len() as i64
    }

    pub(crate) fn state(&self, revision: i64) -> &State {
        &self.states[revision as usize - 1]
    }

    /// The events of a revision with the records they replaced.
    pub(crate) fn events(&self, revision: i64) -> Vec<(Record, Option<Record>)> {
        let before = self.state(revision - 1);
        let previous = |record: &Record| {
            let creates = record.fields().create_revision.get() == revision;
            before.get(record.key()).filter(|_| !creates).cloned()
        };
        self.written[revision as usize - 2]
            .iter()
            .map(|record| (record.clone(), previous(record)))
            .collect()
    }

    pub(crate) fn range(&self, query: &RangeQuery<'_>) -> (Vec<Record>, RangeAnswer) {
        let at = query.revision.map_or(self.revision(), Revision::get);
        range_in(self.state(at), query, Revision::new(self.revision()))
    }

    /// Runs a transaction; `floor` is the lowest revision that ranges in it may name.
    pub(crate) fn transact(&mut self, txn: &Txn, floor: i64) -> Result<TxnAnswer, Failed> {
        let begun = self.revision();
        let mut run = Run {
            model: self,
            begun,
            floor,
            state: self.state(begun).clone(),
            written: Vec::new(),
        };
        let answer = run.txn(txn)?;
        let Run { state, written, .. } = run;
        if !written.is_empty() {
            self.states.push(state);
            self.written.push(written);
        }
        Ok(answer)
    }
}

struct Run<'m> {
    model: &'m Model,
    begun: i64,
    floor: i64,
    state: State,
    written: Vec<Record>,
}

impl Run<'_> {
    fn now(&self) -> Revision {
        Revision::new(self.begun + i64::from(!self.written.is_empty()))
    }

    fn txn(&mut self, txn: &Txn) -> Result<TxnAnswer, Failed> {
        let before = self.model.state(self.begun);
        let succeeded = txn.compare.iter().all(|compare| {
            let mut keys = before
                .values()
                .filter(|record| compare.range.contains(record.key()))
                .peekable();
            match keys.peek() {
                None => {
                    !matches!(compare.target, CompareTarget::Value(_))
                        && holds(&Fields::default(), compare)
                }
                Some(_) => keys.all(|record| holds(&record.fields(), compare)),
            }
        });
        let ops = if succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        let answers = ops.iter().map(|op| self.op(op)).collect::<Result<_, _>>()?;
        Ok(TxnAnswer { succeeded, answers })
    }

    fn op(&mut self, op: &Op) -> Result<OpAnswer, Failed> {
        match op {
            Op::Range(op) => self.range(op),
            Op::Put(op) => self.put(op),
            Op::Delete(op) => Ok(self.delete(op)),
            Op::Txn(txn) => self.txn(txn).map(OpAnswer::Txn),
            Op::Refused(_) => Err(Failed),
        }
    }

    fn range(&self, op: &RangeOp) -> Result<OpAnswer, Failed> {
        let state = match op.revision.map(Revision::get) {
            None => &self.state,
            Some(at) if at < self.floor || at > self.begun => return Err(Failed),
            Some(at) => self.model.state(at),
        };
        let (records, answer) = range_in(state, &op.query(), self.now());
        Ok(OpAnswer::Range { records, answer })
    }

    fn put(&mut self, op: &PutOp) -> Result<OpAnswer, Failed> {
        let before = self.model.state(self.begun).get(&op.key[..]);
        let old = self.state.get(&op.key[..]).cloned();
        if (op.ignore_value || op.ignore_lease) && (before.is_none() || old.is_none()) {
            return Err(Failed);
        }
        let new = {
            let old = old.as_ref().map(Record::fields);
            let revision = Revision::new(self.begun + 1);
            Record::new(Fields {
                key: &op.key,
                value: if op.ignore_value {
                    old.unwrap().value
                } else {
                    &op.value
                },
                create_revision: old.map_or(revision, |old| old.create_revision),
                mod_revision: revision,
                version: old.map_or(1, |old| old.version + 1),
                lease: if op.ignore_lease {
                    old.unwrap().lease
                } else {
                    op.lease
                },
            })
        };
        self.state.insert(op.key.to_vec(), new.clone());
        self.written.push(new);
        Ok(OpAnswer::Put {
            revision: self.now(),
            previous: old.filter(|_| op.prev_kv),
        })
    }

    fn delete(&mut self, op: &DeleteOp) -> OpAnswer {
        let doomed: Vec<_> = self
            .state
            .values()
            .filter(|record| op.range.contains(record.key()))
            .cloned()
            .collect();
        for record in &doomed {
            self.state.remove(record.key());
            self.written.push(Record::tombstone(
                record.key(),
                Revision::new(self.begun + 1),
            ));
        }
        let deleted = doomed.len() as i64;
        OpAnswer::Delete {
            revision: self.now(),
            deleted,
            previous: if op.prev_kv { doomed } else { Vec::new() },
        }
    }
}

fn holds(fields: &Fields<'_>, compare: &Compare) -> bool {
    let order = match &compare.target {
        CompareTarget::Version(n) => fields.version.cmp(n),
        CompareTarget::Create(n) => fields.create_revision.get().cmp(n),
        CompareTarget::Mod(n) => fields.mod_revision.get().cmp(n),
        CompareTarget::Value(value) => fields.value.cmp(value),
        CompareTarget::Lease(n) => fields.lease.get().cmp(n),
    };
    match compare.result {
        CompareResult::Equal => order.is_eq(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
        CompareResult::NotEqual => order.is_ne(),
    }
}

fn range_in(
    state: &State,
    query: &RangeQuery<'_>,
    current: Revision,
) -> (Vec<Record>, RangeAnswer) {
    let all: Vec<_> = state
        .values()
        .filter(|record| query.span.contains(record.key()))
        .cloned()
        .collect();
    let count = all.len() as i64;
    if query.count_only {
        return (
            Vec::new(),
            RangeAnswer {
                current,
                count,
                more: false,
            },
        );
    }
    let RevisionFilter {
        min_mod,
        max_mod,
        min_create,
        max_create,
    } = query.filter;
    let unbounded = query.filter == RevisionFilter::default();
    let mut records = all;
    if query.limit > 0 && query.sort_order == SortOrder::None && unbounded {
        records.truncate(query.limit.saturating_add(1));
    }
    records.retain(|record| max_mod == 0 || record.fields().mod_revision.get() <= max_mod);
    records.retain(|record| min_mod == 0 || record.fields().mod_revision.get() >= min_mod);
    records.retain(|record| max_create == 0 || record.fields().create_revision.get() <= max_create);
    records.retain(|record| min_create == 0 || record.fields().create_revision.get() >= min_create);
    records.sort_by(|a, b| {
        let (a, b) = (a.fields(), b.fields());
        let order = match query.sort_target {
            SortTarget::Key => a.key.cmp(b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(b.value),
        };
        if query.sort_order == SortOrder::Descend {
            order.reverse()
        } else {
            order
        }
    });
    let more = query.limit > 0 && records.len() > query.limit;
    if more {
        records.truncate(query.limit);
    }
    (
        records,
        RangeAnswer {
            current,
            count,
            more,
        },
    )
}

/// Keys that collide often, share beginnings, and are enough for several leaves.
pub(crate) fn key() -> impl Strategy<Value = Vec<u8>> {
    let long = (0..4u8, 0..30u8).prop_map(|(a, b)| {
        [
            b"registry/".as_slice(),
            &[b'a' + a],
            b"/0000000",
            &[b'a' + b],
        ]
        .concat()
    });
    prop_oneof![6 => long, 1 => prop::collection::vec(prop::sample::select(vec![0, b'r', 0xff]), 1..4)]
}

pub(crate) fn key_range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        3 => key().prop_map(|key| KeySpan::single(&key).to_owned()),
        2 => (key(), key()).prop_map(|(key, end)| KeyRange::from_wire(&key, &end)),
        1 => key().prop_map(|key| KeyRange::from_wire(&key, b"\0")),
    ]
}

pub(crate) fn range_op(back: i64) -> impl Strategy<Value = RangeOp> {
    let order = prop::sample::select(vec![
        SortOrder::None,
        SortOrder::None,
        SortOrder::Ascend,
        SortOrder::Descend,
    ]);
    let target = prop::sample::select(vec![
        SortTarget::Key,
        SortTarget::Key,
        SortTarget::Version,
        SortTarget::Create,
        SortTarget::Mod,
        SortTarget::Value,
    ]);
    let bound = || prop_oneof![6 => Just(0), 1 => 1..40i64, 1 => Just(-1)];
    let filter = (bound(), bound(), bound(), bound()).prop_map(
        |(min_mod, max_mod, min_create, max_create)| RevisionFilter {
            min_mod,
            max_mod,
            min_create,
            max_create,
        },
    );
    let revision = prop::option::of((1..=back).prop_map(Revision::new));
    let limit = prop_oneof![Just(0), 1..6usize, Just(usize::MAX)];
    (
        key_range(),
        revision,
        limit,
        target,
        order,
        filter,
        prop::bool::weighted(0.15),
    )
        .prop_map(
            |(range, revision, limit, sort_target, sort_order, filter, count_only)| RangeOp {
                range,
                revision,
                limit,
                sort_target,
                sort_order,
                filter,
                count_only,
            },
        )
}

fn put_op() -> impl Strategy<Value = PutOp> {
    let keeps = || prop::bool::weighted(0.1);
    (key(), 0..5u8, 0..3i64, any::<bool>(), keeps(), keeps()).prop_map(
        |(key, value, lease, prev_kv, ignore_value, ignore_lease)| PutOp {
            key: key.into(),
            value: if ignore_value {
                Vec::new()
            } else {
                vec![value; value as usize]
            }
            .into(),
            lease: LeaseId::new(if ignore_lease { 0 } else { lease }),
            prev_kv,
            ignore_value,
            ignore_lease,
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let result = prop::sample::select(vec![
        CompareResult::Equal,
        CompareResult::Greater,
        CompareResult::Less,
        CompareResult::NotEqual,
    ]);
    let target = (0..5, 0..6i64).prop_map(|(target, n)| match target {
        0 => CompareTarget::Version(n),
        1 => CompareTarget::Create(n * 5),
        2 => CompareTarget::Mod(n * 5),
        3 => CompareTarget::Value(vec![n as u8; n as usize].into()),
        _ => CompareTarget::Lease(n),
    });
    (key_range(), target, result).prop_map(|(range, target, result)| Compare {
        range,
        target,
        result,
    })
}

/// Transactions of any shape; many are refused by `check`.
pub(crate) fn txn(back: i64) -> impl Strategy<Value = Txn> {
    let op = prop_oneof![
        5 => put_op().prop_map(Op::Put),
        1 => (key_range(), any::<bool>()).prop_map(|(range, prev_kv)| Op::Delete(DeleteOp { range, prev_kv })),
        1 => range_op(back).prop_map(Op::Range),
    ];
    let of = |op: BoxedStrategy<Op>| {
        let ops = |most| prop::collection::vec(op.clone(), 0..most);
        (prop::collection::vec(compare(), 0..3), ops(6), ops(3)).prop_map(
            |(compare, success, failure)| Txn {
                compare,
                success,
                failure,
            },
        )
    };
    let flat = of(op.clone().boxed()).boxed();
    let nested = of(prop_oneof![4 => op, 2 => flat.clone().prop_map(Op::Txn)].boxed());
    prop_oneof![3 => flat, 2 => nested]
}

/// A put of one key, which never fails.
pub(crate) fn put(key: &[u8], value: &[u8]) -> Txn {
    let op = PutOp {
        key: key.to_vec().into(),
        value: value.to_vec().into(),
        ..PutOp::default()
    };
    Txn {
        compare: Vec::new(),
        success: vec![Op::Put(op)],
        failure: Vec::new(),
    }
}
