//! A short log that never changes: what the golden files hold, and what the corpus grew from.

use meridian_keyspace::{Change, Commit, Event, LeaseId, Record, Revision, record::Fields};
use meridian_revlog::{
    ChunkEncoder, Codec, Encoder, EncoderConfig, Epoch, GroupId, encode_changes,
};

pub(crate) fn record(key: &str, value: &str, revision: i64) -> Record {
    Record::new(Fields {
        key: key.as_bytes(),
        value: value.as_bytes(),
        create_revision: Revision::new(7),
        mod_revision: Revision::new(revision),
        version: revision - 6,
        lease: LeaseId::new(0x1234_5678),
    })
}

/// Five revisions: puts, one of two events, one delete.
pub(crate) fn commits() -> Vec<Commit> {
    let commit = |revision, records| Commit {
        revision: Revision::new(revision),
        records,
    };
    let value = |n: i64| format!("{{\"name\":\"a golden value\",\"generation\":{n}}}");
    let put = |key, revision| record(key, &value(revision), revision);
    vec![
        commit(1000, vec![put("/registry/pods/a", 1000)]),
        commit(1001, vec![put("/registry/pods/b", 1001)]),
        commit(
            1002,
            vec![put("/registry/pods/a", 1002), put("/registry/pods/b", 1002)],
        ),
        commit(
            1003,
            vec![Record::tombstone(b"/registry/pods/a", Revision::new(1003))],
        ),
        commit(1004, vec![put("/registry/pods/b", 1004)]),
    ]
}

/// Some of them as a range sees them, with and without what they replaced.
pub(crate) fn changes() -> Vec<Change> {
    let change = |commit: &Commit, previous: Option<Record>| Change {
        revision: commit.revision,
        events: commit
            .records
            .iter()
            .map(|record| Event {
                record: record.clone(),
                previous: previous.clone(),
            })
            .collect(),
    };
    let commits = commits();
    let previous = commits[1].records[0].clone();
    vec![
        change(&commits[0], None),
        change(&commits[4], Some(previous)),
    ]
}

/// Files of the corpus: for each decoder whole frames, and flags with a body, which it seals itself.
pub(crate) fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (codec, name) in [
        (Codec::None, "none"),
        (Codec::Zstd, "zstd"),
        (Codec::Continuous, "continuous"),
    ] {
        let config = EncoderConfig {
            codec,
            ..EncoderConfig::new(Epoch::new(3))
        };
        let mut encoder = Encoder::new(config, GroupId::new(0x0123_4567_89ab_cdef));
        let (mut stream, mut bodies) = (vec![17], vec![100]);
        for (number, commits) in commits().chunks(2).enumerate() {
            let frame = encoder.encode(commits).frame().to_vec();
            let body = opened(&frame);
            bodies.extend_from_slice(&(body.len() as u16).to_le_bytes());
            bodies.extend_from_slice(&body);
            seeds.push(("batch", format!("{name}-{number}-body"), body));
            stream.extend_from_slice(&frame);
            seeds.push(("batch", format!("{name}-{number}"), frame));
        }
        seeds.push(("frames", name.to_owned(), stream));
        seeds.push(("frames", format!("{name}-bodies"), bodies));
    }
    let records: Vec<_> = commits().into_iter().flat_map(|c| c.records).collect();
    let chunk = ChunkEncoder::new().encode(&records).to_vec();
    let list = encode_changes(&changes(), Revision::new(1009)).to_vec();
    for (subject, frame) in [("chunk", chunk), ("changes", list)] {
        seeds.push((subject, "body".to_owned(), opened(&frame)));
        seeds.push((subject, "frame".to_owned(), frame));
    }
    seeds
}

/// Flags and body of a frame: without magic and version, length (of one byte or two) and checksum.
fn opened(frame: &[u8]) -> Vec<u8> {
    let length = if frame[4] < 0x80 { 1 } else { 2 };
    [&frame[3..4], &frame[4 + length..frame.len() - 4]].concat()
}
