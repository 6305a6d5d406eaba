//! Goal: a scan in chunks sees one revision whatever is applied, compacted or forgotten between its
//! chunks, and readers beside a writer never see half a revision. Method: small chunks (see
//! `CHUNK_KEYS`), random writes between steps against the naive model; threads with an invariant.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;
use crate::{
    KeyRange, KeySpan, WindowLimits,
    model::{self, Model},
    record::Fields,
    txn,
};

fn rev(number: i64) -> Revision {
    Revision::new(number)
}

/// A scan under way, and what it must answer.
struct Running<'q> {
    scan: Scan<'q>,
    got: Vec<Record>,
    expected: (Vec<Record>, RangeAnswer),
}

impl Running<'_> {
    /// One chunk; true when the scan is done.
    fn step(&mut self) -> bool {
        match self.scan.step(&mut |record| self.got.push(record.clone())) {
            Step::More => false,
            Step::Done(answer) => {
                assert_eq!((&self.got, answer), (&self.expected.0, self.expected.1));
                true
            }
        }
    }
}

fn transact(shared: &SharedKeyspace, model: &mut Model, txn: &txn::Txn) {
    if txn::check(txn, 128).is_err() {
        return;
    }
    let floor = shared.read(Keyspace::floor);
    let done = shared.write(|keyspace| keyspace.transact(txn, &|_| true));
    assert_eq!(
        done.ok().map(|(answer, _)| answer),
        model.transact(txn, floor.get()).ok()
    );
    assert_eq!(shared.revision().get(), model.revision());
}

proptest! {
    #[test]
    fn a_scan_is_unmoved_by_what_happens_between_its_chunks(
        before in prop::collection::vec(model::txn(9), 1..30),
        queries in prop::collection::vec(model::range_op(30), 1..4),
        between in prop::collection::vec((model::txn(9), prop::option::weighted(0.2, 0..5i64)), 0..60),
        revisions in prop_oneof![Just(0), Just(3), Just(1_000)],
    ) {
        let limits = WindowLimits { revisions, ..WindowLimits::UNLIMITED };
        let shared = Arc::new(SharedKeyspace::new(Keyspace::new(limits)));
        let mut model = Model::new();
        before.iter().for_each(|txn| transact(&shared, &mut model, txn));
        let mut running: Vec<_> = queries.iter().filter_map(|op| {
            let scan = shared.scan(op.query()).ok()?;
            Some(Running { scan, got: Vec::new(), expected: model.range(&op.query()) })
        }).collect();
        for (txn, compact) in &between {
            running.retain_mut(|running| !running.step());
            transact(&shared, &mut model, txn);
            if let Some(back) = compact {
                shared.compact(rev(model.revision() - back));
            }
        }
        for running in &mut running {
            while !running.step() {}
        }
        drop(running);
        // With the pins gone the window is back to its size.
        let settle = model::put(b"settle", b"");
        (0..3).for_each(|_| transact(&shared, &mut model, &settle));
        shared.compact(rev(model.revision()));
        prop_assert_eq!(shared.read(Keyspace::floor), rev(model.revision()));
        let live = model.state(model.revision()).values().cloned();
        prop_assert_eq!(shared.read(Keyspace::bytes), Keyspace::restore(limits, rev(model.revision()), live).bytes());
    }
}

#[test]
fn a_finished_scan_says_so_again_and_an_unreadable_one_never_begins() {
    let shared = Arc::new(SharedKeyspace::new(Keyspace::new(WindowLimits::UNLIMITED)));
    let mut scan = shared.scan(RangeQuery::of(KeySpan::ALL)).unwrap();
    let done = Step::Done(RangeAnswer {
        current: rev(1),
        count: 0,
        more: false,
    });
    assert_eq!(
        [scan.step(&mut |_| {}), scan.step(&mut |_| {})],
        [done, done]
    );
    let future = RangeQuery {
        revision: Some(rev(2)),
        ..RangeQuery::of(KeySpan::ALL)
    };
    assert_eq!(
        shared.scan(future).err(),
        Some(ReadError::Future { current: rev(1) })
    );
}

#[test]
fn a_chunk_ends_with_its_bytes() {
    let value = vec![b'x'; CHUNK_BYTES];
    let records = [b"a", b"b", b"c"].map(|key| {
        Record::new(Fields {
            key,
            value: &value,
            create_revision: rev(2),
            mod_revision: rev(2),
            version: 1,
            ..Fields::default()
        })
    });
    let shared = Arc::new(SharedKeyspace::new(Keyspace::restore(
        WindowLimits::UNLIMITED,
        rev(2),
        records,
    )));
    for op in [false, true] {
        let sort_order = if op {
            crate::SortOrder::Descend
        } else {
            crate::SortOrder::None
        };
        let query = RangeQuery {
            sort_order,
            ..RangeQuery::of(KeySpan::ALL)
        };
        let (mut scan, mut largest, mut total) = (shared.scan(query).unwrap(), 0, 0);
        loop {
            let mut chunk = 0;
            let step = scan.step(&mut |_| chunk += 1);
            (largest, total) = (largest.max(chunk), total + chunk);
            if let Step::Done(_) = step {
                break;
            }
        }
        assert_eq!((largest, total), (1, 3));
    }
}

const KEYS: usize = 40;
const WRITES: i64 = 1_500;

/// Every revision writes its number to two keys, or deletes both: their values are always equal.
fn pair(revision: Revision) -> Commit {
    let n = revision.get() as usize % KEYS;
    let write = |side: &str| {
        let key = format!("{side}/{n:03}");
        let fields = Fields {
            key: key.as_bytes(),
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            ..Fields::default()
        };
        let value = revision.get().to_be_bytes();
        if n.is_multiple_of(7) && revision.get() % 2 == 0 {
            Record::tombstone(key.as_bytes(), revision)
        } else {
            Record::new(Fields {
                value: &value,
                ..fields
            })
        }
    };
    Commit {
        revision,
        records: vec![write("left"), write("right")],
    }
}

/// What follows the slash in a key, and the key's value.
type Seen = (Vec<u8>, Vec<u8>);

fn scan_all(shared: &Arc<SharedKeyspace>, range: &KeyRange) -> (Revision, Vec<Seen>) {
    let mut scan = shared.scan(RangeQuery::of(range.span())).unwrap();
    let mut seen = Vec::new();
    let mut sink = |record: &Record| {
        let suffix = record.key().split(|byte| *byte == b'/').nth(1).unwrap();
        seen.push((suffix.to_vec(), record.fields().value.to_vec()));
    };
    while scan.step(&mut sink) == Step::More {}
    (scan.revision(), seen)
}

fn read_until_done(shared: &Arc<SharedKeyspace>, done: &AtomicBool) {
    let mut last = Revision::ZERO;
    while !done.load(Ordering::Acquire) {
        let announced = shared.revision();
        let at = shared.get_into(b"left/001", |record| {
            assert!(record.is_none_or(|record| record.fields().value.len() == 8));
        });
        assert!(at >= announced && announced >= last);
        let (scanned, both) = scan_all(shared, &KeyRange::from_wire(b"left", b"\0"));
        assert!(scanned >= at);
        let (left, right) = both.split_at(both.len() / 2);
        assert_eq!(left, right);
        last = at;
    }
}

#[test]
fn readers_beside_a_writer_see_whole_revisions_only() {
    let limits = WindowLimits {
        revisions: 5,
        ..WindowLimits::UNLIMITED
    };
    let shared = Arc::new(SharedKeyspace::new(Keyspace::new(limits)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| read_until_done(&shared, &done)))
            .collect();
        for number in 2..WRITES {
            shared.apply(pair(rev(number))).unwrap();
            if number % 50 == 0 {
                shared.compact(rev(number - 2));
            }
        }
        done.store(true, Ordering::Release);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(shared.revision(), rev(WRITES - 1));
}
