//! Goal: readers and fillers agree on the data set.

use super::*;

#[test]
fn keys_have_the_length_asked_for_and_sort_by_number() {
    let shape = Shape::new(1_000_000, 42, 256).unwrap();
    assert_eq!(shape.key(0).len(), 42);
    assert_eq!(shape.key(999_999).len(), 42);
    assert!(shape.key(99) < shape.key(100));
}

#[test]
fn a_key_too_short_for_its_number_is_refused_with_the_length_that_works() {
    let refused = Shape::new(1_000_000, 8, 1).unwrap_err();
    assert!(refused.to_string().contains("at least 13"), "{refused}");
}

#[test]
fn values_have_the_length_asked_for_and_differ_between_neighbours() {
    let values = Values::new(256);
    assert_eq!(values.value(u64::MAX).len(), 256);
    assert_ne!(values.value(1), values.value(2));
    assert_eq!(values.value(7), Values::new(256).value(7));
}
