//! How long a bootstrap takes, and what CPU it costs etcd and us; run by hand.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use meridian_etcd_api::etcdserverpb as pb;
use meridian_home::{Call, Home, Method};
use prost::Message;

use super::etcd::{TestHome, binaries, start};

const KEYS: usize = 1_000_000;
const KEYS_PER_TXN: usize = 100;

fn fill(i: usize) -> Call {
    let put = |k: usize| pb::RequestOp {
        request: Some(pb::request_op::Request::RequestPut(pb::PutRequest {
            key: Bytes::from(format!(
                "/registry/pods/namespace-{:05}/pod-{k:010}",
                k % 977
            )),
            value: Bytes::from(vec![b'v'; 256]),
            ..Default::default()
        })),
    };
    let success = (i * KEYS_PER_TXN..(i + 1) * KEYS_PER_TXN)
        .map(put)
        .collect();
    let txn = pb::TxnRequest {
        success,
        ..Default::default()
    };
    let mut call = Call::new(Method::KvTxn, Bytes::from(txn.encode_to_vec()));
    call.deadline = Some(Instant::now() + Duration::from_secs(120));
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "fills an etcd with a million keys; a measurement"]
async fn a_million_keys_are_read_quickly() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        let begun = Instant::now();
        let fills = stream::iter(0..KEYS / KEYS_PER_TXN).map(|i| home.home.unary(fill(i)));
        let mut fills = fills.buffer_unordered(32);
        while let Some(filled) = fills.next().await {
            filled.unwrap();
        }
        drop(fills);
        println!("{}: filled in {:.1?}", binary.display(), begun.elapsed());
        for _ in 0..3 {
            let begun = Instant::now();
            let cpu = [
                cpu_seconds(members[0].pid()),
                cpu_seconds(std::process::id()),
            ];
            let mut snapshot = home.home.snapshot().await.unwrap();
            let (mut keys, mut bytes, mut pages) = (0, 0, 0);
            while let Some(page) = snapshot.pages.next().await {
                let page = page.unwrap();
                keys += page.len();
                pages += 1;
                bytes += page
                    .iter()
                    .map(|record| record.encoded().len())
                    .sum::<usize>();
            }
            assert_eq!(keys, KEYS);
            println!(
                "{keys} keys, {bytes} bytes, {pages} pages in {:.2?}; CPU: etcd {:.2} s, we {:.2} s",
                begun.elapsed(),
                cpu_seconds(members[0].pid()) - cpu[0],
                cpu_seconds(std::process::id()) - cpu[1],
            );
        }
        home.stop().await;
    }
}

/// User and system time of a process so far, from `/proc/PID/stat` in ticks of 10 ms.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
