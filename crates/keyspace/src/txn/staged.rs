//! The keyspace as a transaction under way sees it: the state before it, and its own writes over.
//!
//! Invariant: the keyspace itself is untouched until the transaction is done. The staged records
//! are the commit, in operation order; a key that is written twice has its last version here.

use std::{collections::BTreeMap, ops::Bound};

use crate::{
    Commit, KeySpan, Keyspace, RangeAnswer, RangeQuery, ReadError, Record, Revision, SpanEnd,
    record::Fields, store::order,
};

/// A transaction's view.
pub(super) struct Staged<'k> {
    base: &'k Keyspace,
    /// The revision that the transaction takes if it changes something.
    revision: Revision,
    /// The version of each key written; a tombstone for a deleted one.
    written: BTreeMap<Box<[u8]>, Record>,
    /// All versions written, in operation order.
    records: Vec<Record>,
}

impl<'k> Staged<'k> {
    pub(super) fn new(base: &'k Keyspace) -> Self {
        Self {
            base,
            revision: base.revision().next(),
            written: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    /// The state before the transaction.
    pub(super) fn base(&self) -> &'k Keyspace {
        self.base
    }

    /// The transaction's revision once it has changed something; before that the one it began at.
    pub(super) fn revision(&self) -> Revision {
        if self.records.is_empty() {
            self.base.revision()
        } else {
            self.revision
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Record> {
        match self.written.get(key) {
            Some(record) => Some(record).filter(|record| !record.is_tombstone()),
            None => self.base.get(key),
        }
    }

    pub(super) fn range(
        &self,
        query: &RangeQuery<'_>,
    ) -> Result<(Vec<Record>, RangeAnswer), ReadError> {
        if query.revision.is_some() || self.written.is_empty() {
            let mut records = Vec::new();
            let answer = self
                .base
                .range(query, &mut |record| records.push(record.clone()))?;
            return Ok((
                records,
                RangeAnswer {
                    current: self.revision(),
                    ..answer
                },
            ));
        }
        Ok(arrange(self.live(&query.span), query, self.revision()))
    }

    /// The live records of a span, in key order.
    pub(super) fn live(&self, span: &KeySpan<'_>) -> Vec<Record> {
        let mut live = Vec::new();
        if let SpanEnd::Single = span.end {
            live.extend(self.get(span.start).cloned());
            return live;
        }
        let mut written = self.written_in(span).peekable();
        self.base
            .range(&RangeQuery::of(*span), &mut |record| {
                while let Some((_, new)) = written.next_if(|(key, _)| ***key < *record.key()) {
                    live.push(new.clone());
                }
                let replaced = written.next_if(|(key, _)| ***key == *record.key());
                live.push(replaced.map_or(record, |(_, new)| new).clone());
            })
            .expect("the current revision can always be read");
        live.extend(written.map(|(_, new)| new.clone()));
        live.retain(|record| !record.is_tombstone());
        live
    }

    fn written_in<'a>(
        &'a self,
        span: &KeySpan<'a>,
    ) -> impl Iterator<Item = (&'a Box<[u8]>, &'a Record)> {
        let end = span.end;
        self.written
            .range::<[u8], _>((Bound::Included(span.start), Bound::Unbounded))
            .take_while(move |(key, _)| match end {
                SpanEnd::Single => false,
                SpanEnd::Before(end) => ***key < *end,
                SpanEnd::Unbounded => true,
            })
    }

    pub(super) fn put(&mut self, fields: Fields<'_>) {
        let (created, version) = match self.get(fields.key) {
            Some(record) => {
                let previous = record.fields();
                (previous.create_revision, previous.version)
            }
            None => (self.revision, 0),
        };
        self.write(Record::new(Fields {
            create_revision: created,
            mod_revision: self.revision,
            version: version.saturating_add(1),
            ..fields
        }));
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        self.write(Record::tombstone(key, self.revision));
    }

    fn write(&mut self, record: Record) {
        self.written.insert(record.key().into(), record.clone());
        self.records.push(record);
    }

    /// What the transaction commits, if it changed anything.
    pub(super) fn into_commit(self) -> Option<Commit> {
        (!self.records.is_empty()).then_some(Commit {
            revision: self.revision,
            records: self.records,
        })
    }
}

/// The answer of a query whose live records, in key order, are these.
fn arrange(
    live: Vec<Record>,
    query: &RangeQuery<'_>,
    current: Revision,
) -> (Vec<Record>, RangeAnswer) {
    let count = live.len() as i64;
    let passing = live
        .into_iter()
        .filter(|record| order::passes(record, &query.filter));
    let taken: Vec<_> = passing.take(order::wanted(query)).collect();
    let more = query.limit > 0 && taken.len() > query.limit;
    (
        order::sort(taken, query),
        RangeAnswer {
            current,
            count,
            more,
        },
    )
}
