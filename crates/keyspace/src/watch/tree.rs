//! An interval tree: ranges in an AVL tree by (start, end), each node knowing the greatest end
//! below it.
//!
//! Invariants: one node per distinct range, and no node without an id; heights of siblings differ
//! by at most one; `furthest` of a node names a node of its subtree whose end is greatest. Nodes
//! live in an arena, so a link is four bytes and freed slots are used again.

use std::cmp::Ordering;

use super::ids::Ids;
use crate::{KeyRange, SpanEnd};

/// An index into the arena. Four bytes bound the tree at 2^32 - 1 distinct ranges, far above what
/// memory holds at some 100 bytes each.
type Link = u32;
const NIL: Link = Link::MAX;

#[derive(Clone, Debug)]
struct Node<Id> {
    range: KeyRange,
    ids: Ids<Id>,
    left: Link,
    right: Link,
    furthest: Link,
    height: u8,
}

#[derive(Clone, Debug)]
pub(super) struct IntervalTree<Id> {
    nodes: Vec<Node<Id>>,
    free: Vec<Link>,
    root: Link,
}

impl<Id> Default for IntervalTree<Id> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            root: NIL,
        }
    }
}

impl<Id: Copy + Ord> IntervalTree<Id> {
    pub(super) fn insert(&mut self, range: &KeyRange, id: Id) -> bool {
        if let Some(at) = self.find(range) {
            return self.node_mut(at).ids.insert(id);
        }
        let new = self.allocate(range.clone(), id);
        self.root = self.insert_below(self.root, new);
        true
    }

    pub(super) fn remove(&mut self, range: &KeyRange, id: Id) -> bool {
        let Some(at) = self.find(range) else {
            return false;
        };
        let removed = self.node_mut(at).ids.remove(id);
        if self.node(at).ids.is_empty() {
            self.root = self.remove_below(self.root, at);
            self.release(at);
        }
        removed
    }

    /// Reports the ids of every range that contains `key`.
    pub(super) fn stab(&self, key: &[u8], found: &mut dyn FnMut(Id)) {
        self.stab_below(self.root, key, found);
    }

    fn stab_below(&self, at: Link, key: &[u8], found: &mut dyn FnMut(Id)) {
        if at == NIL || !self.reaches(self.node(at).furthest, key) {
            return;
        }
        let node = self.node(at);
        self.stab_below(node.left, key, found);
        if node.range.span().start <= key {
            if self.reaches(at, key) {
                node.ids.each(found);
            }
            self.stab_below(node.right, key, found);
        }
    }

    fn reaches(&self, at: Link, key: &[u8]) -> bool {
        match end(&self.node(at).range) {
            Some(end) => key < end,
            None => true,
        }
    }

    fn find(&self, range: &KeyRange) -> Option<Link> {
        let mut at = self.root;
        while at != NIL {
            at = match order(range, &self.node(at).range) {
                Ordering::Less => self.node(at).left,
                Ordering::Greater => self.node(at).right,
                Ordering::Equal => return Some(at),
            };
        }
        None
    }

    fn insert_below(&mut self, at: Link, new: Link) -> Link {
        if at == NIL {
            return new;
        }
        match order(&self.node(new).range, &self.node(at).range) {
            Ordering::Less => {
                let left = self.insert_below(self.node(at).left, new);
                self.node_mut(at).left = left;
            }
            Ordering::Greater => {
                let right = self.insert_below(self.node(at).right, new);
                self.node_mut(at).right = right;
            }
            Ordering::Equal => unreachable!("insert looked for the range first"),
        }
        self.rebalance(at)
    }

    /// Unlinks `gone` from the subtree at `at` and answers the subtree's new root.
    fn remove_below(&mut self, at: Link, gone: Link) -> Link {
        if at == gone {
            return self.unlink(at);
        }
        match order(&self.node(gone).range, &self.node(at).range) {
            Ordering::Less => {
                let left = self.remove_below(self.node(at).left, gone);
                self.node_mut(at).left = left;
            }
            Ordering::Greater => {
                let right = self.remove_below(self.node(at).right, gone);
                self.node_mut(at).right = right;
            }
            Ordering::Equal => unreachable!("ranges are distinct"),
        }
        self.rebalance(at)
    }

    fn unlink(&mut self, at: Link) -> Link {
        let (left, right) = (self.node(at).left, self.node(at).right);
        if right == NIL {
            return left;
        }
        let (first, rest) = self.take_first(right);
        self.node_mut(first).left = left;
        self.node_mut(first).right = rest;
        self.rebalance(first)
    }

    /// Splits the subtree at `at` into its first node and the rest.
    fn take_first(&mut self, at: Link) -> (Link, Link) {
        let left = self.node(at).left;
        if left == NIL {
            return (at, self.node(at).right);
        }
        let (first, rest) = self.take_first(left);
        self.node_mut(at).left = rest;
        (first, self.rebalance(at))
    }

    fn rebalance(&mut self, at: Link) -> Link {
        let (left, right) = (self.node(at).left, self.node(at).right);
        if self.height(left) > self.height(right) + 1 {
            if self.height(self.node(left).left) < self.height(self.node(left).right) {
                let raised = self.rotate_left(left);
                self.node_mut(at).left = raised;
            }
            return self.rotate_right(at);
        }
        if self.height(right) > self.height(left) + 1 {
            if self.height(self.node(right).right) < self.height(self.node(right).left) {
                let raised = self.rotate_right(right);
                self.node_mut(at).right = raised;
            }
            return self.rotate_left(at);
        }
        self.refresh(at);
        at
    }

    fn rotate_left(&mut self, at: Link) -> Link {
        let raised = self.node(at).right;
        self.node_mut(at).right = self.node(raised).left;
        self.refresh(at);
        self.node_mut(raised).left = at;
        self.refresh(raised);
        raised
    }

    fn rotate_right(&mut self, at: Link) -> Link {
        let raised = self.node(at).left;
        self.node_mut(at).left = self.node(raised).right;
        self.refresh(at);
        self.node_mut(raised).right = at;
        self.refresh(raised);
        raised
    }

    /// Recomputes what a node knows of its subtree from its children.
    fn refresh(&mut self, at: Link) {
        let (left, right) = (self.node(at).left, self.node(at).right);
        let height = 1 + self.height(left).max(self.height(right));
        let mut furthest = at;
        for child in [left, right] {
            if child != NIL {
                let candidate = self.node(child).furthest;
                if order_ends(&self.node(candidate).range, &self.node(furthest).range).is_gt() {
                    furthest = candidate;
                }
            }
        }
        let node = self.node_mut(at);
        node.height = height;
        node.furthest = furthest;
    }

    fn height(&self, at: Link) -> u8 {
        if at == NIL { 0 } else { self.node(at).height }
    }

    fn allocate(&mut self, range: KeyRange, id: Id) -> Link {
        let at = self.free.last().copied().unwrap_or_else(|| {
            Link::try_from(self.nodes.len())
                .ok()
                .filter(|at| *at != NIL)
                .expect("memory ends before 2^32 ranges")
        });
        let node = Node {
            range,
            ids: Ids::One(id),
            left: NIL,
            right: NIL,
            furthest: at,
            height: 1,
        };
        match self.free.pop() {
            Some(_) => *self.node_mut(at) = node,
            None => self.nodes.push(node),
        }
        at
    }

    /// Gives the slot back, and the range's memory with it.
    fn release(&mut self, at: Link) {
        self.node_mut(at).range = KeyRange::from_wire(&[], &[]);
        self.free.push(at);
    }

    fn node(&self, at: Link) -> &Node<Id> {
        &self.nodes[at as usize]
    }

    fn node_mut(&mut self, at: Link) -> &mut Node<Id> {
        &mut self.nodes[at as usize]
    }
}

/// The exclusive end of a range; none if it has no end.
fn end(range: &KeyRange) -> Option<&[u8]> {
    match range.span().end {
        SpanEnd::Before(end) => Some(end),
        SpanEnd::Unbounded => None,
        SpanEnd::Single => unreachable!("single keys are kept in the hash map"),
    }
}

fn order(a: &KeyRange, b: &KeyRange) -> Ordering {
    a.span()
        .start
        .cmp(b.span().start)
        .then_with(|| order_ends(a, b))
}

fn order_ends(a: &KeyRange, b: &KeyRange) -> Ordering {
    match (end(a), end(b)) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

#[cfg(test)]
impl<Id: Copy + Ord> IntervalTree<Id> {
    /// Checks order, balance and `furthest` of every node; answers the number of nodes.
    pub(super) fn check(&self) -> usize {
        let nodes = self.check_below(self.root);
        assert_eq!(nodes + self.free.len(), self.nodes.len());
        nodes
    }

    fn check_below(&self, at: Link) -> usize {
        if at == NIL {
            return 0;
        }
        let node = self.node(at);
        assert!(!node.ids.is_empty());
        assert!(self.height(node.left).abs_diff(self.height(node.right)) <= 1);
        assert_eq!(
            node.height,
            1 + self.height(node.left).max(self.height(node.right))
        );
        let mut greatest = &node.range;
        for (child, side) in [(node.left, Ordering::Less), (node.right, Ordering::Greater)] {
            if child != NIL {
                assert_eq!(order(&self.node(child).range, &node.range), side);
                let below = &self.node(self.node(child).furthest).range;
                if order_ends(below, greatest).is_gt() {
                    greatest = below;
                }
            }
        }
        assert!(order_ends(&self.node(node.furthest).range, greatest).is_eq());
        1 + self.check_below(node.left) + self.check_below(node.right)
    }
}
