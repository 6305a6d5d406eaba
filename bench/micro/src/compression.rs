//! Ratio and speed of the ways a batch could be coded.
//!
//! Every way codes the payloads of the same batches; a batch's frame is counted with its payload, so
//! a ratio is bytes before coding by bytes on the wire. Speed is CPU time of one thread over bytes
//! before coding, the best of three rounds. "as shipped" is the encoder and decoder of the log
//! themselves (frame, checksum and, when decoding, records included); the others are zstd alone.

use std::{hint::black_box, time::Duration};

use anyhow::{Context, Result, anyhow};
use meridian_keyspace::{Commit, Record};
use meridian_revlog::{Batch, Codec, Decoder, Encoder, EncoderConfig, Epoch, GroupId};
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, compress_bound,
    zstd_sys::ZSTD_EndDirective,
};

use crate::{
    objects::{Kubernetes, Log, Registry, log},
    runner::cpu_time,
};

const SEED: u64 = 20_261_121;
const ROUNDS: usize = 3;
const BATCHES: [usize; 3] = [1, 4, 64];
const DICTIONARY_BYTES: usize = 112 << 10;
const MIB: usize = 1 << 20;

/// A way to code.
#[derive(Clone)]
struct Way {
    name: String,
    level: i32,
    /// Bytes before coding after which the context starts afresh; none for each batch on its own.
    group: Option<usize>,
    window_log: u32,
    hash_log: u32,
    dictionary: Vec<u8>,
}

/// What was measured of it.
struct Measured {
    raw: usize,
    coded: usize,
    batches: usize,
    encode: Duration,
    decode: Duration,
}

/// Prints the tables.
///
/// # Errors
/// If a codec fails.
#[allow(clippy::print_stdout, reason = "it tells what it measured")]
pub fn main() -> Result<()> {
    let kinds = [
        (
            "Kubernetes-like objects",
            log(Kubernetes::new(SEED), 16_000),
        ),
        (
            "service-registry-like values",
            log(Registry::new(SEED), 50_000),
        ),
    ];
    for (name, log) in kinds {
        let raw: usize = log
            .commits
            .iter()
            .map(|c| c.records[0].encoded().len())
            .sum();
        println!(
            "\n{name}: {} revisions, {} B each",
            log.commits.len(),
            raw / log.commits.len()
        );
        for events in BATCHES {
            println!(
                "| {events} event(s) a batch | B/rev | ratio | encode MB/s | µs/batch | decode MB/s |\n|---|---|---|---|---|---|"
            );
            for row in rows(&log, events)? {
                println!("{row}");
            }
        }
    }
    Ok(())
}

fn rows(log: &Log, events: usize) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    let revisions = log.commits.len();
    let payloads: Vec<Vec<u8>> = log.commits.chunks(events).map(payload).collect();
    rows.push(row(
        "none, as shipped",
        revisions,
        &shipped(log, events, Codec::None, 0)?,
    ));
    for way in ways(log)? {
        let measured = measure(&way, &payloads).with_context(|| way.name.clone())?;
        rows.push(row(&way.name, revisions, &measured));
    }
    for level in [1, 3] {
        let measured = shipped(log, events, Codec::Continuous, level)?;
        rows.push(row(
            &format!("continuous {level}, 4 MiB, as shipped"),
            revisions,
            &measured,
        ));
    }
    Ok(rows)
}

fn row(name: &str, revisions: usize, measured: &Measured) -> String {
    let Measured {
        raw,
        coded,
        batches,
        encode,
        decode,
    } = measured;
    let speed = |time: &Duration| *raw as f64 / 1e6 / time.as_secs_f64();
    format!(
        "| {name} | {:.0} | {:.2} | {:.0} | {:.1} | {:.0} |",
        *coded as f64 / revisions as f64,
        *raw as f64 / *coded as f64,
        speed(encode),
        encode.as_secs_f64() * 1e6 / *batches as f64,
        speed(decode),
    )
}

fn ways(log: &Log) -> Result<Vec<Way>> {
    let way = |name: String, level, group| Way {
        name,
        level,
        group,
        window_log: if group.is_some() { 22 } else { 0 },
        hash_log: 0,
        dictionary: Vec::new(),
    };
    let dictionary = trained(&log.snapshot)?;
    let mut ways = Vec::new();
    for level in [1, 3] {
        ways.push(way(format!("zstd {level}"), level, None));
    }
    for level in [1, 3] {
        let mut with = way(format!("zstd {level}, dictionary"), level, None);
        with.dictionary.clone_from(&dictionary);
        ways.push(with);
    }
    for (level, mib) in [(1, 1), (1, 4), (1, 16), (3, 1), (3, 4), (3, 16), (6, 4)] {
        let mut way = way(
            format!("continuous {level}, {mib} MiB"),
            level,
            Some(mib * MIB),
        );
        way.window_log = 20 + mib.ilog2();
        ways.push(way);
    }
    for (level, hash_log) in [(1, 17), (3, 19)] {
        let name = format!("continuous {level}, 4 MiB, hash log {hash_log}");
        let mut way = way(name, level, Some(4 * MIB));
        way.hash_log = hash_log;
        ways.push(way);
    }
    Ok(ways)
}

/// What a batch of these commits holds before coding, as the encoder of the log makes it.
fn payload(commits: &[Commit]) -> Vec<u8> {
    let config = EncoderConfig {
        codec: Codec::None,
        ..EncoderConfig::new(Epoch::ZERO)
    };
    let batch = Encoder::new(config, GroupId::new(0)).encode(commits);
    let raw_len = usize::try_from(batch.raw_len()).unwrap_or_default();
    // The checksum stands behind it.
    let end = batch.frame().len() - 4;
    batch.frame()[end - raw_len..end].to_vec()
}

/// A dictionary from the first snapshot, as the hub could make one when it starts.
fn trained(snapshot: &[Record]) -> Result<Vec<u8>> {
    let samples: Vec<&[u8]> = snapshot.iter().map(Record::encoded).collect();
    zstd::dict::from_samples(&samples, DICTIONARY_BYTES).context("train a dictionary")
}

/// Bytes of the frame around a payload: 4 fixed, 2 of length, epoch 1, first 3, span 1, events 1,
/// raw length 2, checksum 4, and 8 of group where one starts, 4 where it goes on.
fn around(start: bool) -> usize {
    if start { 26 } else { 22 }
}

fn measure(way: &Way, payloads: &[Vec<u8>]) -> Result<Measured> {
    let mut best: Option<Measured> = None;
    for _ in 0..ROUNDS {
        let mut round = coded(way, payloads)?;
        if let Some(best) = best {
            round.encode = round.encode.min(best.encode);
            round.decode = round.decode.min(best.decode);
        }
        best = Some(round);
    }
    best.context("there was a round")
}

fn coded(way: &Way, payloads: &[Vec<u8>]) -> Result<Measured> {
    let mut encoder = context(way)?;
    let mut decoder = DCtx::create();
    decoder
        .set_parameter(DParameter::WindowLogMax(27))
        .map_err(zstd_error)?;
    decoder
        .load_dictionary(&way.dictionary)
        .map_err(zstd_error)?;
    let (mut coded, mut starts, mut in_group) = (Vec::new(), Vec::new(), usize::MAX);
    let start = cpu_time();
    for payload in payloads {
        let starts_group = way.group.is_none_or(|most| in_group >= most);
        if starts_group {
            encoder
                .reset(ResetDirective::SessionOnly)
                .map_err(zstd_error)?;
            in_group = 0;
        }
        in_group += payload.len();
        starts.push(starts_group);
        coded.push(compress(&mut encoder, payload, way.group.is_some())?);
    }
    let encode = cpu_time() - start;
    let start = cpu_time();
    let mut out = Vec::new();
    for ((payload, coded), starts_group) in payloads.iter().zip(&coded).zip(&starts) {
        if *starts_group {
            decoder
                .reset(ResetDirective::SessionOnly)
                .map_err(zstd_error)?;
        }
        out.clear();
        out.reserve(payload.len() + 1);
        let mut output = OutBuffer::around(&mut out);
        decoder
            .decompress_stream(&mut output, &mut InBuffer::around(coded))
            .map_err(zstd_error)?;
        anyhow::ensure!(
            black_box(out.len()) == payload.len(),
            "it does not come back"
        );
    }
    let decode = cpu_time() - start;
    Ok(Measured {
        raw: payloads.iter().map(Vec::len).sum(),
        coded: coded.iter().map(Vec::len).sum::<usize>()
            + starts.iter().map(|s| around(*s)).sum::<usize>(),
        batches: payloads.len(),
        encode,
        decode,
    })
}

fn context(way: &Way) -> Result<CCtx<'static>> {
    let mut context = CCtx::create();
    context
        .set_parameter(CParameter::CompressionLevel(way.level))
        .map_err(zstd_error)?;
    context
        .set_parameter(CParameter::WindowLog(way.window_log))
        .map_err(zstd_error)?;
    context
        .set_parameter(CParameter::HashLog(way.hash_log))
        .map_err(zstd_error)?;
    context
        .load_dictionary(&way.dictionary)
        .map_err(zstd_error)?;
    Ok(context)
}

fn compress(context: &mut CCtx<'_>, raw: &[u8], continuous: bool) -> Result<Vec<u8>> {
    let directive = if continuous {
        ZSTD_EndDirective::ZSTD_e_flush
    } else {
        ZSTD_EndDirective::ZSTD_e_end
    };
    let mut out = Vec::with_capacity(compress_bound(raw.len()));
    let mut output = OutBuffer::around(&mut out);
    let left = context
        .compress_stream2(&mut output, &mut InBuffer::around(raw), directive)
        .map_err(zstd_error)?;
    anyhow::ensure!(left == 0, "it does not fit");
    Ok(out)
}

fn zstd_error(code: usize) -> anyhow::Error {
    anyhow!(zstd::zstd_safe::get_error_name(code))
}

fn shipped(log: &Log, events: usize, codec: Codec, level: i32) -> Result<Measured> {
    let mut best: Option<Measured> = None;
    for _ in 0..ROUNDS {
        let config = EncoderConfig {
            codec,
            level,
            ..EncoderConfig::new(Epoch::ZERO)
        };
        let mut encoder = Encoder::new(config, GroupId::new(1));
        let start = cpu_time();
        let batches: Vec<Batch> = log
            .commits
            .chunks(events)
            .map(|c| encoder.encode(c))
            .collect();
        let encode = cpu_time() - start;
        let mut decoder = Decoder::new();
        let start = cpu_time();
        for batch in &batches {
            let batch = Batch::parse(batch.frame().clone())?;
            black_box(decoder.decode(&batch)?);
        }
        let decode = cpu_time() - start;
        let round = Measured {
            raw: batches.iter().map(|b| b.raw_len() as usize).sum(),
            coded: batches.iter().map(|b| b.frame().len()).sum(),
            batches: batches.len(),
            encode: best.as_ref().map_or(encode, |best| best.encode.min(encode)),
            decode: best.as_ref().map_or(decode, |best| best.decode.min(decode)),
        };
        best = Some(round);
    }
    best.context("there was a round")
}
