//! Goal: the objects are what the benchmark says they are.

use super::*;

#[test]
fn objects_have_some_700_bytes_and_come_again_with_small_changes() {
    let mut objects = Objects::new(1, 7);
    let (key, before) = objects.write();
    let (again, after) = objects.write();
    assert_eq!(key, again);
    assert!((650..760).contains(&before.len()), "{}", before.len());
    let different = before.bytes().zip(after.bytes()).filter(|(a, b)| a != b);
    assert!(different.count() < 40);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (mut one, mut other) = (Objects::new(100, 3), Objects::new(100, 3));
    assert!((0..500).all(|_| one.write() == other.write()));
}
