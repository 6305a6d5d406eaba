//! The keys and records that are measured: 42-byte keys as a Kubernetes cluster has them, 256-byte
//! values. The same number always gives the same key.

use meridian_keyspace::{LeaseId, Record, Revision, record::Fields};

/// Bytes of a key.
pub const KEY_BYTES: usize = 42;
/// Bytes of a value.
pub const VALUE_BYTES: usize = 256;

/// The key with this number; numbers are scattered over the key order.
pub fn key(number: usize) -> Vec<u8> {
    let scattered = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = format!(
        "/registry/pods/ns-{:04}/pod-{:015x}",
        scattered % 1000,
        scattered >> 4
    )
    .into_bytes();
    debug_assert_eq!(key.len(), KEY_BYTES);
    key
}

/// A record of this key, written by this revision.
pub fn record(key: &[u8], revision: Revision) -> Record {
    let mut value = [0; VALUE_BYTES];
    value[..8].copy_from_slice(&revision.get().to_be_bytes());
    Record::new(Fields {
        key,
        value: &value,
        create_revision: Revision::new(1_000_000),
        mod_revision: revision,
        version: 3,
        lease: LeaseId::NONE,
    })
}

/// The records of the first `count` keys, in key order, all of one revision. The keys lie in one
/// allocation meanwhile, which goes back to the system, so that only the records stay resident.
pub fn sorted(count: usize, revision: Revision) -> Vec<Record> {
    let mut keys = vec![[0; KEY_BYTES]; count];
    keys.iter_mut()
        .enumerate()
        .for_each(|(number, bytes)| bytes.copy_from_slice(&key(number)));
    keys.sort_unstable();
    keys.iter().map(|key| record(key, revision)).collect()
}
