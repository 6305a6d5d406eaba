//! Measures each subject in a process of its own and prints one table.
//!
//! A timing is the median of five rounds in CPU time, which other load on the machine reaches only
//! through the caches; memory is `resident` of `/proc/self/statm`, after
//! loading less before, the source of the records being freed by then. It knows no subject's inside.

use std::{
    env, fs,
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use meridian_keyspace::{Record, Revision};

use crate::{
    data,
    subject::{HashAndTree, Leaves, Persistent, Skips, Subject, Tree},
};

const ROUNDS: usize = 5;
const GETS: usize = 200_000;
const PUTS: usize = 50_000;
const RANGES: usize = 5_000;
const RANGE_KEYS: usize = 100;
/// How long a round of counting takes about: one count takes from a microsecond to tens of
/// milliseconds, and a round has to last many scheduler ticks.
const COUNT_ROUND: Duration = Duration::from_millis(60);

const SUBJECTS: [&str; 5] = ["keyspace", "btree", "hash+btree", "imbl", "skiplist"];

const COLUMNS: [&str; 9] = [
    "load ms",
    "get ns",
    "miss ns",
    "put ns",
    "insert ns",
    "range100 ns",
    "count half us",
    "overhead B/key",
    "resident MB",
];

/// Runs all subjects, or with `--one NAME` that one.
///
/// # Errors
/// On unknown arguments, or if a subject fails.
pub fn main(allocator: &str) -> Result<()> {
    let (mut keys, mut one) = (1_000_000, None);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keys" => keys = arguments.next().context("--keys takes a number")?.parse()?,
            "--one" => {
                one = Some(
                    arguments
                        .next()
                        .context("--one takes the name of a subject")?,
                )
            }
            // What cargo adds.
            "--bench" => {}
            other => bail!("unknown argument {other}: there are --keys N and --one NAME"),
        }
    }
    match one {
        Some(name) => print_row(&name, &measure_named(&name, keys)?),
        None => run_all(allocator, keys)?,
    }
    Ok(())
}

#[allow(clippy::print_stdout)]
fn run_all(allocator: &str, keys: usize) -> Result<()> {
    println!(
        "{keys} keys of {} B, values of {} B, {allocator}",
        data::KEY_BYTES,
        data::VALUE_BYTES
    );
    let mut header = format!("{:<12}", "");
    COLUMNS
        .iter()
        .for_each(|column| header += &format!("{column:>16}"));
    println!("{header}");
    for name in SUBJECTS {
        let own = env::current_exe()?;
        let status = Command::new(own)
            .args(["--keys", &keys.to_string(), "--one", name])
            .status()?;
        if !status.success() {
            bail!("measuring {name} failed: {status}");
        }
    }
    Ok(())
}

#[allow(clippy::print_stdout)]
fn print_row(name: &str, row: &[f64; COLUMNS.len()]) {
    let mut line = format!("{name:<12}");
    row.iter().for_each(|cell| line += &format!("{cell:>16.0}"));
    println!("{line}");
}

fn measure_named(name: &str, keys: usize) -> Result<[f64; COLUMNS.len()]> {
    match name {
        "keyspace" => measure::<Leaves>(keys),
        "btree" => measure::<Tree>(keys),
        "hash+btree" => measure::<HashAndTree>(keys),
        "imbl" => measure::<Persistent>(keys),
        "skiplist" => measure::<Skips>(keys),
        other => bail!("unknown subject {other}: there are {SUBJECTS:?}"),
    }
}

fn measure<S: Subject>(keys: usize) -> Result<[f64; COLUMNS.len()]> {
    let loaded_at = Revision::new(2_000_000);
    let before = resident_bytes()?;
    let records = data::sorted(keys, loaded_at);
    let start = cpu_time();
    let mut subject = S::load(records, loaded_at);
    let load_ms = (cpu_time() - start).as_secs_f64() * 1e3;
    let resident = resident_bytes()? - before;
    let payload = (data::KEY_BYTES + data::VALUE_BYTES) as f64;
    let overhead = resident / keys as f64 - payload;

    let mut random = fastrand::Rng::with_seed(7);
    let mut out = Vec::with_capacity(64 << 10);
    let get = per_call(
        GETS,
        || data::key(random.usize(..keys)),
        |key| fill(&mut out, |out| subject.get(key, out)),
    );
    let miss = per_call(
        GETS,
        || data::key(keys * 2 + random.usize(..keys)),
        |key| fill(&mut out, |out| subject.get(key, out)),
    );
    let range = per_call(
        RANGES,
        || data::key(random.usize(..keys)),
        |key| {
            fill(&mut out, |out| subject.range(key, RANGE_KEYS, out));
        },
    );
    let half: (&[u8], &[u8]) = (b"/registry/pods/ns-0250", b"/registry/pods/ns-0750");
    let count_half = || {
        black_box(subject.count(half.0, half.1));
    };
    let start = Instant::now();
    count_half();
    let calls = COUNT_ROUND.as_nanos() / start.elapsed().as_nanos().max(1);
    let count = per_call(calls.clamp(1, 100_000) as usize, || (), |()| count_half());
    let (put, insert) = measure_writes(&mut subject, keys, loaded_at);
    Ok([
        load_ms,
        get,
        miss,
        put,
        insert,
        range,
        count / 1e3,
        overhead,
        resident / 1e6,
    ])
}

/// Nanoseconds for an update and for a new key; the records are made beforehand.
fn measure_writes<S: Subject>(subject: &mut S, keys: usize, mut revision: Revision) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(8);
    let mut fresh = keys;
    let mut write = |next: &mut dyn FnMut() -> usize| {
        let make = || {
            revision = revision.next();
            let record: Record = data::record(&data::key(next()), revision);
            (record, revision)
        };
        per_call(PUTS, make, |(record, revision)| {
            subject.put(record.clone(), *revision)
        })
    };
    let put = write(&mut || random.usize(..keys));
    let insert = write(&mut || {
        fresh += 1;
        fresh
    });
    (put, insert)
}

fn fill(out: &mut Vec<u8>, copy: impl FnOnce(&mut Vec<u8>)) {
    out.clear();
    copy(out);
    black_box(out.len());
}

/// The median over rounds of the mean nanoseconds of a call; inputs are made before the clock runs.
fn per_call<I>(calls: usize, mut make: impl FnMut() -> I, mut call: impl FnMut(&I)) -> f64 {
    let mut rounds = [(); ROUNDS].map(|()| {
        let inputs: Vec<I> = (0..calls).map(|_| make()).collect();
        let start = cpu_time();
        inputs.iter().for_each(&mut call);
        (cpu_time() - start).as_nanos() as f64 / calls as f64
    });
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// CPU time of this process's first thread, of which there is no other; exact to a scheduler tick
/// of a few milliseconds.
pub(crate) fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("Linux tells a process's CPU time in /proc/self/schedstat"))
}

/// Resident memory of this process; pages are of 4 KiB on the machines this is run on.
fn resident_bytes() -> Result<f64> {
    let statm = fs::read_to_string("/proc/self/statm")
        .context("read /proc/self/statm: this benchmark needs Linux")?;
    let pages: f64 = statm
        .split(' ')
        .nth(1)
        .context("statm has a resident field")?
        .parse()?;
    Ok(pages * 4096.0)
}
