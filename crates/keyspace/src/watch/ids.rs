//! The watchers of one range.
//!
//! Most ranges have one watcher, which costs no allocation; a range that thousands watch still
//! adds and removes one in O(log n).

use std::collections::BTreeSet;

#[derive(Clone, Debug)]
pub(super) enum Ids<Id> {
    None,
    One(Id),
    Many(BTreeSet<Id>),
}

impl<Id: Copy + Ord> Ids<Id> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::Many(ids) => ids.is_empty(),
        }
    }

    pub(super) fn insert(&mut self, id: Id) -> bool {
        match self {
            Self::None => {
                *self = Self::One(id);
                true
            }
            Self::One(only) if *only == id => false,
            Self::One(only) => {
                *self = Self::Many(BTreeSet::from([*only, id]));
                true
            }
            Self::Many(ids) => ids.insert(id),
        }
    }

    pub(super) fn remove(&mut self, id: Id) -> bool {
        match self {
            Self::None => false,
            Self::One(only) if *only == id => {
                *self = Self::None;
                true
            }
            Self::One(_) => false,
            Self::Many(ids) => ids.remove(&id),
        }
    }

    pub(super) fn each(&self, found: &mut dyn FnMut(Id)) {
        match self {
            Self::None => {}
            Self::One(id) => found(*id),
            Self::Many(ids) => ids.iter().for_each(|id| found(*id)),
        }
    }
}
