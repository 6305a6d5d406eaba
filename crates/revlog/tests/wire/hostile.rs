//! Hostile bytes on stable Rust: the whole corpus, and seeded mutations of it, through every decoder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    log,
    subjects::{SUBJECTS, Subject},
};

/// Without `MERIDIAN_MINUTES`: a second or two.
const MUTATIONS: u64 = 10_000;
/// With it: between two looks at the time.
const ROUND: u64 = 1_000;

/// A small generator of numbers (xorshift), so that a seed gives the same bytes everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }
}

fn corpus(subject: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(subject);
    let entries = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    files
        .into_iter()
        .map(|file| fs::read(file).unwrap())
        .collect()
}

/// One to four changes: a flip, a byte, a cut, a copy, an extreme number, a splice.
fn mutated(from: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = from.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(7) {
            _ if bytes.is_empty() => bytes.push(numbers.next() as u8),
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes[at] = numbers.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let to = at + numbers.below(bytes.len() - at);
                bytes.extend_from_within(at..to);
            }
            4 => {
                bytes.splice(at..at, [0xff; 9].into_iter().chain([1]));
            }
            5 => {
                bytes.remove(at);
            }
            _ => bytes
                .splice(at.., other[numbers.below(other.len())..].to_vec())
                .for_each(drop),
        }
    }
    bytes
}

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// CPU time of this thread; the subjects themselves know no clock.
fn spent() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map_or(Duration::MAX, Duration::from_nanos)
}

fn mutate((name, subject): Subject, seed: u64, count: u64, numbers: &mut Numbers) {
    let corpus = corpus(name);
    for number in 0..count {
        let (from, other) = (numbers.below(corpus.len()), numbers.below(corpus.len()));
        let bytes = mutated(&corpus[from], &corpus[other], numbers);
        let finding = std::panic::catch_unwind(|| subject(&bytes)).is_err();
        assert!(
            !finding,
            "{name}, seed {seed}, mutation {number}: {bytes:02x?}"
        );
    }
}

#[test]
fn every_file_of_the_corpus_is_survived() {
    for (name, subject) in SUBJECTS {
        corpus(name).iter().for_each(|bytes| subject(bytes));
    }
}

#[test]
fn a_slice_of_mutations_is_survived() {
    let seed = variable("MERIDIAN_SEED").unwrap_or(1);
    let minutes = variable("MERIDIAN_MINUTES");
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let limit = minutes.map(|minutes| Duration::from_secs(minutes * 60));
    loop {
        for subject in SUBJECTS {
            let count = limit.map_or(MUTATIONS, |_| ROUND);
            mutate(subject, seed, count, &mut numbers);
        }
        if limit.is_none_or(|limit| spent() >= limit) {
            break;
        }
    }
}

/// Hostile lengths cost no memory: a claim of 256 MiB would show in the peak of the address space
/// that was ever resident. The unit tests look at each buffer.
#[test]
fn corpus_and_mutations_stay_small_in_memory() {
    let peak = || {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.map_or(0, |kib| kib >> 10)
    };
    let mut numbers = Numbers(99);
    for subject in SUBJECTS {
        mutate(subject, 99, 500, &mut numbers);
    }
    assert!(peak() < 200, "{} MiB at the peak", peak());
}

/// Writes the corpus that the mutations grow from; its other files are findings.
#[test]
fn the_corpus_has_what_the_log_makes() {
    for (subject, name, bytes) in log::seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(subject);
        let path = folder.join(name);
        if env::var_os("MERIDIAN_WRITE_GOLDEN").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        assert!(path.is_file(), "{} is missing", path.display());
    }
}
