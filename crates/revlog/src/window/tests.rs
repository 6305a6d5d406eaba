//! The window's rules one by one, and a property: whatever was pushed, whoever seeks and reads gets
//! every revision from the wanted one on, and can decode all of it.

use meridian_keyspace::Commit;
use proptest::prelude::*;

use super::*;
use crate::{
    Decoder, Encoder, EncoderConfig,
    sample::{commit, commits, config, encoder, group, rev},
};

const PLENTY: usize = 1 << 20;

fn at(revision: i64) -> Position {
    Position {
        epoch: Epoch::ZERO,
        revision: rev(revision),
    }
}

fn window_at(revision: i64) -> Window {
    let mut window = Window::new(PLENTY);
    window.position(at(revision));
    window
}

fn push_all(window: &mut Window, batches: &[Batch]) {
    for batch in batches {
        assert_eq!(window.push(batch.clone()), Ok(Pushed::Next));
    }
}

fn read(window: &Window, cursor: &mut Cursor) -> Vec<Batch> {
    let mut batches = Vec::new();
    window.read(cursor, usize::MAX, &mut batches).unwrap();
    batches
}

fn read_from(window: &Window, from: i64) -> Vec<Batch> {
    read(window, &mut window.seek(rev(from), None).unwrap())
}

#[test]
fn before_it_is_positioned_it_takes_and_gives_nothing() {
    let mut window = Window::new(PLENTY);
    let start = group(1, 1..=1, 1).remove(0);
    assert_eq!(window.push(start), Err(PushError::Unpositioned));
    assert_eq!(window.seek(rev(1), None), Err(SeekError::Unpositioned));
    assert_eq!(
        (window.at(), window.first(), window.tail()),
        (None, None, None)
    );
}

#[test]
fn a_gap_is_refused_and_named() {
    let mut window = window_at(4);
    let wrong = group(1, 6..=6, 1).remove(0);
    let (due, first) = (rev(5), rev(6));
    assert_eq!(window.push(wrong), Err(PushError::Gap { due, first }));
    assert_eq!(window.at(), Some(at(4)));
}

#[test]
fn epochs_are_never_mixed() {
    let mut window = Window::new(PLENTY);
    let now = Epoch::new(5);
    window.position(Position {
        epoch: now,
        revision: rev(1),
    });
    for number in [4, 6] {
        let found = Epoch::new(number);
        let mut encoder = Encoder::new(EncoderConfig::new(found), GroupId::new(1));
        let error = match number {
            4 => PushError::OlderEpoch { found, now },
            _ => PushError::NewerEpoch { found, now },
        };
        assert_eq!(window.push(encoder.encode(&commits(2..=2))), Err(error));
    }
}

#[test]
fn what_is_sent_again_is_dropped_and_the_stream_goes_on() {
    let batches = group(1, 5..=9, 1);
    let mut window = window_at(4);
    push_all(&mut window, &batches[..3]);
    for batch in &batches[..3] {
        assert_eq!(window.push(batch.clone()), Ok(Pushed::Duplicate));
    }
    push_all(&mut window, &batches[3..]);
    assert_eq!(window.at(), Some(at(9)));
    assert_eq!(window.tail(), Some((GroupId::new(1), 5)));
}

#[test]
fn a_batch_of_another_group_never_continues_this_one() {
    let (ours, theirs) = (group(1, 5..=9, 1), group(2, 5..=9, 1));
    let mut window = window_at(4);
    push_all(&mut window, &ours[..2]);
    // The very revision that is due, but coded in another context.
    assert_eq!(window.push(theirs[2].clone()), Err(PushError::NotAligned));
    assert_eq!(window.push(theirs[1].clone()), Ok(Pushed::Duplicate));
    push_all(&mut window, &ours[2..]);
}

#[test]
fn a_group_that_began_earlier_is_kept_as_context() {
    let batches = group(1, 1..=12, 1);
    let mut window = window_at(10);
    assert_eq!(window.push(batches[1].clone()), Ok(Pushed::Duplicate));
    push_all(&mut window, &batches[..10]);
    assert_eq!(window.at(), Some(at(10)));
    push_all(&mut window, &batches[10..]);
    assert_eq!(window.at(), Some(at(12)));
    assert_eq!(read_from(&window, 11), batches);
    assert_eq!(window.first(), Some(rev(1)));
}

#[test]
fn a_missing_batch_of_context_is_not_aligned() {
    let batches = group(1, 1..=12, 1);
    let mut window = window_at(10);
    push_all(&mut window, &batches[..3]);
    assert_eq!(window.push(batches[5].clone()), Err(PushError::NotAligned));
    push_all(&mut window, &batches[3..]);
}

#[test]
fn a_group_left_behind_is_given_up_so_that_no_reader_meets_a_gap() {
    let mut window = window_at(79);
    push_all(&mut window, &group(1, 80..=100, 3));
    push_all(&mut window, &group(2, 60..=70, 3));
    // It holds nothing of what is between 70 and 95: with the third group after it, there would be a gap.
    let mut inside = window.seek(rev(65), None).unwrap();
    let mut before = window.seek(rev(85), None).unwrap();
    read(&window, &mut inside);
    push_all(&mut window, &group(3, 95..=103, 3));
    assert_eq!(window.read(&mut inside, 1, &mut Vec::new()), Err(Lost));
    let first = rev(80);
    assert_eq!(window.seek(rev(65), None), Err(SeekError::Before { first }));
    assert_eq!(read(&window, &mut before).last().unwrap().last(), rev(103));
}

#[test]
fn the_latest_group_that_holds_it_is_read_from() {
    let mut window = window_at(0);
    let (first, second) = (group(1, 1..=20, 2), group(2, 11..=30, 2));
    push_all(&mut window, &first);
    push_all(&mut window, &second);
    assert_eq!(read_from(&window, 10)[0], first[0]);
    assert_eq!(read_from(&window, 11), second);
    assert_eq!(read_from(&window, 31), second);
    assert_eq!(
        window.seek(rev(32), None),
        Err(SeekError::Ahead { due: rev(31) })
    );
}

#[test]
fn while_a_newer_group_catches_up_the_older_one_is_read() {
    let mut window = window_at(0);
    let (older, newer) = (group(1, 5..=20, 2), group(2, 1..=30, 2));
    push_all(&mut window, &group(7, 1..=4, 4));
    push_all(&mut window, &older);
    push_all(&mut window, &newer[..3]);
    let batches = read_from(&window, 15);
    assert_eq!(batches[..8], older);
    assert_eq!(batches[8..], newer[..3]);
    // What is due comes with the newer one alone.
    assert_eq!(read_from(&window, 21), newer[..3]);
}

#[test]
fn a_resume_is_sent_nothing_twice() {
    let batches = group(9, 1..=8, 1);
    let mut window = window_at(0);
    push_all(&mut window, &batches);
    let resumed = |from, count| {
        let have = Some((GroupId::new(9), count));
        read(&window, &mut window.seek(rev(from), have).unwrap())
    };
    assert_eq!(resumed(6, 5), batches[5..]);
    assert_eq!(resumed(9, 8), []);
    // More than there is, or of another encoder, or not what was said: from the start.
    assert_eq!(resumed(6, 9), batches);
    assert_eq!(resumed(3, 5), batches);
    assert_eq!(resumed(5, 5), batches);
    assert_eq!(resumed(6, 0), batches);
    let have = Some((GroupId::new(10), 5));
    assert_eq!(
        read(&window, &mut window.seek(rev(6), have).unwrap()),
        batches
    );
}

#[test]
fn without_contexts_a_reader_at_the_end_needs_nothing() {
    let mut encoder = encoder(Codec::Zstd, 1);
    let mut window = window_at(0);
    push_all(&mut window, &[encoder.encode(&commits(1..=4))]);
    let mut cursor = window.seek(rev(5), None).unwrap();
    assert_eq!(read(&window, &mut cursor), []);
    let overlapping = encoder.encode(&commits(3..=6));
    push_all(&mut window, std::slice::from_ref(&overlapping));
    assert_eq!(window.push(overlapping.clone()), Ok(Pushed::Duplicate));
    assert_eq!(read(&window, &mut cursor), [overlapping]);
    assert_eq!(window.at(), Some(at(6)));
}

#[test]
fn an_empty_window_is_read_from_what_is_due_only() {
    let mut window = window_at(4);
    let mut cursor = window.seek(rev(5), None).unwrap();
    assert_eq!(
        window.seek(rev(4), None),
        Err(SeekError::Before { first: rev(5) })
    );
    assert_eq!(
        window.seek(rev(6), None),
        Err(SeekError::Ahead { due: rev(5) })
    );
    let batches = group(1, 5..=6, 1);
    push_all(&mut window, &batches);
    assert_eq!(read(&window, &mut cursor), batches);
    window.position(at(9));
    assert_eq!(window.read(&mut cursor, 1, &mut Vec::new()), Err(Lost));
}

#[test]
fn whole_groups_are_evicted_and_who_had_read_them_goes_on() {
    let groups: Vec<_> = (0..4)
        .map(|n| group(n, n as i64 * 10 + 1..=n as i64 * 10 + 10, 2))
        .collect();
    let bytes = |batches: &[Batch]| batches.iter().map(group::held_bytes).sum::<usize>();
    let mut window = Window::new(bytes(&groups[0]) + bytes(&groups[1]) + 8);
    window.position(at(0));
    push_all(&mut window, &groups[0]);
    let mut slow = window.seek(rev(1), None).unwrap();
    let mut quick = slow;
    read(&window, &mut quick);
    push_all(&mut window, &groups[1]);
    push_all(&mut window, &groups[2][..1]);
    assert_eq!(window.bytes(), bytes(&groups[1]) + bytes(&groups[2][..1]));
    assert_eq!(window.read(&mut slow, 1, &mut Vec::new()), Err(Lost));
    assert_eq!(
        read(&window, &mut quick),
        [&groups[1][..], &groups[2][..1]].concat()
    );
    let first = rev(11);
    assert_eq!(window.seek(rev(10), None), Err(SeekError::Before { first }));
}

#[test]
fn the_newest_group_stays_even_alone_over_the_limit() {
    let mut window = Window::new(1);
    window.position(at(0));
    let batches = group(1, 1..=9, 1);
    push_all(&mut window, &batches);
    assert_eq!(read_from(&window, 9), batches);
    push_all(&mut window, &group(2, 10..=10, 1));
    assert_eq!(window.first(), Some(rev(10)));
}

#[test]
fn a_read_is_bounded_in_bytes_but_never_empty() {
    let batches = group(1, 1..=4, 1);
    let mut window = window_at(0);
    push_all(&mut window, &batches);
    let mut cursor = window.seek(rev(1), None).unwrap();
    let mut into = Vec::new();
    window.read(&mut cursor, 1, &mut into).unwrap();
    assert_eq!(into.len(), 1);
    let two = batches[1].frame().len() + batches[2].frame().len();
    window.read(&mut cursor, two, &mut into).unwrap();
    assert_eq!(into, batches[..3]);
}

/// What is done to a window: batches of one of some encoders, which stand anywhere in the log.
#[derive(Clone, Debug)]
enum Step {
    /// The encoder goes on by one batch of so many commits, which is pushed.
    Push(usize, i64),
    /// It goes on, but the batch is lost.
    Lose(usize, i64),
    /// It begins a group, so much before the position of the window (or after it).
    Rewind(usize, i64),
    /// Another reader comes, wanting something so far back.
    Join(i64),
    /// A reader takes some bytes.
    Read(usize, usize),
    /// A reader comes back with what its own window holds.
    Resume(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_usize, 1..4_i64).prop_map(|(e, n)| Step::Push(e, n)),
        1 => (0..3_usize, 1..4_i64).prop_map(|(e, n)| Step::Lose(e, n)),
        2 => (0..3_usize, -1..12_i64).prop_map(|(e, n)| Step::Rewind(e, n)),
        2 => (0..20_i64).prop_map(Step::Join),
        6 => (0..6_usize, 1..900_usize).prop_map(|(r, n)| Step::Read(r, n)),
        1 => (0..6_usize).prop_map(Step::Resume),
    ];
    proptest::collection::vec(step, 1..120)
}

struct Source {
    encoder: Encoder,
    due: i64,
}

/// One that reads the window, as a member does: into a window of its own and through a decoder.
struct Taker {
    cursor: Cursor,
    window: Window,
    decoder: Decoder,
    applied: i64,
}

impl Taker {
    fn join(upstream: &Window, applied: i64) -> Option<Self> {
        let cursor = upstream.seek(rev(applied + 1), None).ok()?;
        let window = window_at(applied);
        Some(Self {
            cursor,
            window,
            decoder: Decoder::new(),
            applied,
        })
    }

    /// Everything it reads it can push, decode and apply without a gap.
    fn read(&mut self, upstream: &Window, bytes_max: usize) {
        let mut batches = Vec::new();
        if upstream
            .read(&mut self.cursor, bytes_max, &mut batches)
            .is_err()
        {
            match Self::join(upstream, self.applied) {
                Some(again) => *self = again,
                None => return,
            }
        }
        for batch in batches {
            self.window.push(batch.clone()).unwrap();
            let decoded = self.decoder.decode(&batch).unwrap();
            self.apply(decoded);
        }
        assert_eq!(self.window.at(), Some(at(self.applied)));
    }

    fn apply(&mut self, commits: Vec<Commit>) {
        for found in commits {
            assert_eq!(found, commit(found.revision.get()));
            assert!(found.revision.get() <= self.applied + 1, "a gap");
            self.applied = self.applied.max(found.revision.get());
        }
    }
}

struct World {
    window: Window,
    sources: Vec<Source>,
    takers: Vec<Taker>,
}

impl World {
    fn new(limit_bytes: usize, group_raw_bytes: usize, codec: Codec) -> Self {
        let source = |number: u64| {
            let config = EncoderConfig {
                group_raw_bytes,
                ..config(codec)
            };
            let encoder = Encoder::new(config, GroupId::new(number << 32 | number << 8));
            Source { encoder, due: 31 }
        };
        let mut window = Window::new(limit_bytes);
        window.position(at(30));
        Self {
            window,
            sources: (0..3).map(source).collect(),
            takers: Vec::new(),
        }
    }

    fn now(&self) -> i64 {
        self.window.at().map_or(0, |at| at.revision.get())
    }

    fn encode(&mut self, source: usize, count: i64) -> Batch {
        let Source { encoder, due } = &mut self.sources[source];
        let batch = encoder.encode(&commits(*due..=*due + count - 1));
        *due += count;
        batch
    }

    fn step(&mut self, step: Step) {
        let before = self.now();
        match step {
            Step::Push(source, count) => {
                let batch = self.encode(source, count);
                if self.window.push(batch.clone()) == Ok(Pushed::Duplicate) {
                    assert!(batch.last().get() <= before);
                }
            }
            Step::Lose(source, count) => {
                self.encode(source, count);
            }
            Step::Rewind(source, back) => {
                self.sources[source].encoder.restart();
                self.sources[source].due = (before + 1 - back).max(1);
            }
            Step::Join(back) => self.takers.extend(Taker::join(&self.window, before - back)),
            Step::Read(taker, bytes) => {
                if let Some(taker) = self.takers.get_mut(taker) {
                    taker.read(&self.window, bytes);
                }
            }
            Step::Resume(taker) => {
                if let Some(taker) = self.takers.get_mut(taker) {
                    let have = taker.window.tail();
                    if let Ok(cursor) = self.window.seek(rev(taker.applied + 1), have) {
                        taker.cursor = cursor;
                    }
                }
            }
        }
        assert!(self.now() >= before, "the position went back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_reader_gets_every_revision_and_can_decode_it(
        steps in steps(),
        limit_bytes in 500..8000_usize,
        group_raw_bytes in 100..1500_usize,
        codec in crate::sample::codecs(),
    ) {
        let mut world = World::new(limit_bytes, group_raw_bytes, codec);
        for step in steps {
            world.step(step);
        }
        // A newest group that has not caught up yet may be all there is for a reader.
        let caught_up = world.window.groups.back().is_none_or(|group| group.last() == rev(world.now()));
        let now = world.now();
        let World { window, takers, .. } = &mut world;
        for taker in takers {
            let reachable = window.seek(rev(taker.applied + 1), None).is_ok();
            // A batch at a time, so that there are as many reads as there can be.
            (0..1000).for_each(|_| taker.read(window, 1));
            prop_assert!(!(reachable && caught_up) || taker.applied == now);
        }
    }
}
