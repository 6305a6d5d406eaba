//! Goal: a block finds what a plain sorted list finds, whatever its keys share. Method: random
//! keys of few bytes, so that heads collide, against a list.

use proptest::prelude::*;

use super::*;

impl Keyed for Vec<u8> {
    fn key(&self) -> &[u8] {
        self
    }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0, 1, b'a', 0xff]);
    prop::collection::vec(byte, 0..12)
}

fn check(block: &Block<Vec<u8>>, list: &[Vec<u8>], probe: &Vec<u8>) {
    assert_eq!(block.items(), list);
    assert_eq!(
        block.find(probe),
        list.binary_search(probe),
        "find {probe:?} in {list:?}"
    );
    assert_eq!(block.get(probe), list.iter().find(|key| *key == probe));
    let below_or_at = list.iter().filter(|key| *key <= probe).count();
    assert_eq!(block.covering(probe), below_or_at.saturating_sub(1));
}

proptest! {
    #[test]
    fn a_block_finds_what_a_sorted_list_finds(keys in prop::collection::vec(key(), 0..40), probes in prop::collection::vec(key(), 20), prefix in prop_oneof![Just(""), Just("shared/prefix/")]) {
        let with = |key: &Vec<u8>| [prefix.as_bytes(), key].concat();
        let (mut block, mut list) = (Block::new(), Vec::new());
        for (n, key) in keys.iter().map(with).enumerate() {
            match block.find(&key) {
                Ok(at) if n % 3 == 0 => {
                    prop_assert_eq!(block.remove(at), list.remove(at));
                }
                Ok(_) => {}
                Err(at) => {
                    block.insert(at, key.clone());
                    list.insert(at, key);
                }
            }
        }
        for probe in probes.iter().flat_map(|probe| [probe.clone(), with(probe)]).chain(list.clone()) {
            check(&block, &list, &probe);
        }
        let half = list.len() / 2;
        let right = block.split_off(half);
        for probe in &list {
            check(&block, &list[..half], probe);
            check(&right, &list[half..], probe);
        }
        block.append(right.into_items());
        list.iter().for_each(|probe| check(&block, &list, probe));
        list.iter().for_each(|probe| check(&Block::from_sorted(list.clone()), &list, probe));
    }
}
