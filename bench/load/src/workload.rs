//! The operations a load is made of, encoded before the clock starts.
//!
//! Reads come from a pool of requests much larger than grpc-proxy's cache of 2,048 answers, so that a peer's cache
//! is measured as what it is to a real key space.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use clap::ValueEnum;
use meridian_etcd_api::etcdserverpb::{
    Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, compare, request_op,
};

use crate::{
    connection::frame,
    shape::{Shape, Values},
};

/// Different reads in a pool: 64 Ki requests of ~55 bytes are 3.5 MB.
const READ_POOL: u64 = 1 << 16;
/// Different writes in a pool: 8 Ki requests of ~310 bytes are 2.5 MB.
const WRITE_POOL: u64 = 1 << 13;

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Get of one key from whatever state the server has.
    GetSerializable,
    /// Get of one key that sees every acknowledged write.
    GetLinearizable,
    /// A serializable range of exactly 100 keys.
    #[value(name = "range-100")]
    Range100,
    /// A linearizable range of exactly 100 keys.
    #[value(name = "range-100-linearizable")]
    Range100Linearizable,
    /// Put of an existing key.
    Put,
    /// If the key exists, put it, else read it.
    Txn,
    /// One keepalive on a stream of its own, one lease each.
    KeepAlive,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no variant is skipped");
        f.write_str(value.get_name())
    }
}

/// Encoded requests of one method.
#[derive(Clone, Debug)]
pub struct Requests {
    /// `package.Service/Method`.
    pub method: &'static str,
    /// Framed requests, to be drawn at random.
    pub pool: Arc<[Bytes]>,
}

impl Requests {
    /// The pool of an operation; none for keepalives, whose requests name leases granted later.
    pub fn encode(operation: Operation, shape: &Shape) -> Option<Self> {
        let mut random = fastrand::Rng::with_seed(7);
        let reads = |build: &mut dyn FnMut() -> RangeRequest| Self {
            method: "etcdserverpb.KV/Range",
            pool: (0..READ_POOL).map(|_| frame(&build())).collect(),
        };
        match operation {
            Operation::GetSerializable => Some(reads(&mut || get(shape, &mut random, true))),
            Operation::GetLinearizable => Some(reads(&mut || get(shape, &mut random, false))),
            Operation::Range100 => Some(reads(&mut || range_100(shape, &mut random, true))),
            Operation::Range100Linearizable => {
                Some(reads(&mut || range_100(shape, &mut random, false)))
            }
            Operation::Put => {
                let values = Values::new(shape.value_bytes);
                let pool = (0..WRITE_POOL).map(|n| frame(&put(shape, &values, &mut random, n)));
                Some(Self {
                    method: "etcdserverpb.KV/Put",
                    pool: pool.collect(),
                })
            }
            Operation::Txn => {
                let values = Values::new(shape.value_bytes);
                let pool = (0..WRITE_POOL).map(|n| frame(&txn(shape, &values, &mut random, n)));
                Some(Self {
                    method: "etcdserverpb.KV/Txn",
                    pool: pool.collect(),
                })
            }
            Operation::KeepAlive => None,
        }
    }

    /// A request, drawn by `random`.
    pub fn any(&self, random: &mut fastrand::Rng) -> Bytes {
        self.pool[random.usize(0..self.pool.len())].clone()
    }
}

fn get(shape: &Shape, random: &mut fastrand::Rng, serializable: bool) -> RangeRequest {
    RangeRequest {
        key: shape.any_key(random),
        serializable,
        ..RangeRequest::default()
    }
}

fn range_100(shape: &Shape, random: &mut fastrand::Rng, serializable: bool) -> RangeRequest {
    let first = random.u64(0..=shape.keys - 100);
    // The key after the last one: the last one and a zero byte.
    let mut range_end = shape.key(first + 99).to_vec();
    range_end.push(0);
    RangeRequest {
        key: shape.key(first),
        range_end: Bytes::from(range_end),
        serializable,
        ..RangeRequest::default()
    }
}

fn put(shape: &Shape, values: &Values, random: &mut fastrand::Rng, n: u64) -> PutRequest {
    PutRequest {
        key: shape.any_key(random),
        value: values.value(n),
        ..PutRequest::default()
    }
}

fn txn(shape: &Shape, values: &Values, random: &mut fastrand::Rng, n: u64) -> TxnRequest {
    let put = put(shape, values, random, n);
    let key = put.key.clone();
    let exists = Compare {
        result: compare::CompareResult::Greater.into(),
        target: compare::CompareTarget::Version.into(),
        key: key.clone(),
        target_union: Some(compare::TargetUnion::Version(0)),
        range_end: Bytes::new(),
    };
    let read = RangeRequest {
        key,
        ..RangeRequest::default()
    };
    TxnRequest {
        compare: vec![exists],
        success: vec![RequestOp {
            request: Some(request_op::Request::RequestPut(put)),
        }],
        failure: vec![RequestOp {
            request: Some(request_op::Request::RequestRange(read)),
        }],
    }
}
