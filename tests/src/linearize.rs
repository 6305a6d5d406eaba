//! Is a history of one register, with compare-and-set, linearizable?
//!
//! The search is Wing's and Gong's with Lowe's memory: take any operation that had begun before the first
//! return still ahead, apply it to the model, and go on; step back where that leads nowhere. A state that
//! was reached with the same operations done is not tried twice.
//!
//! An operation whose outcome is unknown may have happened at any time after its call, or never. Every write
//! has a value of its own, so most are settled beforehand: if somebody saw the value, it happened before that;
//! if nobody did, the history is first tried without it. Only if that fails is it given a return after
//! everything else, where its effect is seen by nobody.

use std::collections::{HashMap, HashSet};

/// Moment in a history: a number from one counter that all clients share.
pub type Moment = u64;

/// What is stored; every write of a history writes another one.
pub type Value = u64;

/// What a client did and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read; nothing was there, or this.
    Read(Option<Value>),
    /// Wrote; the outcome may be unknown.
    Write(Value),
    /// Replaced one value by another, if it was the first; whether it was may be unknown.
    Swap {
        /// What had to be there.
        expected: Option<Value>,
        /// What is there then.
        new: Value,
        /// Whether it was so.
        held: Option<bool>,
    },
}

/// One operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What was done.
    pub action: Action,
    /// When it was called.
    pub called: Moment,
    /// When the answer came; none if the outcome is unknown.
    pub returned: Option<Moment>,
}

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains all answers.
    Linearizable,
    /// There is none; the longest explained part ends before this operation.
    Violated(Operation),
    /// The search was given up: too many operations at once.
    Undecided,
}

/// Steps after which a search is given up: some seconds.
const STEPS_MAX: usize = 5_000_000;

/// Judges a history that begins with nothing stored.
#[must_use]
pub fn check(history: &[Operation]) -> Verdict {
    let (settled, open) = settle(history);
    let without = Search::new(&settled).run();
    if without == Verdict::Linearizable || open.is_empty() {
        return without;
    }
    Search::new(&[settled, open].concat()).run()
}

/// What certainly happened, with a return for each; and what nobody saw.
fn settle(history: &[Operation]) -> (Vec<Operation>, Vec<Operation>) {
    let mut seen_by: HashMap<Value, Moment> = HashMap::new();
    for operation in history {
        let (Some(value), Some(returned)) = (seen(operation.action), operation.returned) else {
            continue;
        };
        let first = seen_by.entry(value).or_insert(returned);
        *first = returned.min(*first);
    }
    let (mut settled, mut open) = (Vec::new(), Vec::new());
    for operation in history {
        let happened = written(operation.action).and_then(|value| seen_by.get(&value));
        match (operation.returned, happened) {
            (Some(_), _) => settled.push(*operation),
            // Seen before its call it is a violation, which the search shall find.
            (None, Some(moment)) => {
                let (action, returned) =
                    (held(operation.action), Some(operation.called.max(*moment)));
                settled.push(Operation {
                    action,
                    returned,
                    ..*operation
                });
            }
            (None, None) => open.push(*operation),
        }
    }
    (settled, open)
}

/// The value that the operation proves to have been there.
fn seen(action: Action) -> Option<Value> {
    match action {
        Action::Read(found) => found,
        Action::Swap {
            expected,
            held: Some(true),
            ..
        } => expected,
        Action::Swap { .. } | Action::Write(_) => None,
    }
}

fn written(action: Action) -> Option<Value> {
    match action {
        Action::Read(_) => None,
        Action::Write(value) | Action::Swap { new: value, .. } => Some(value),
    }
}

fn held(action: Action) -> Action {
    match action {
        Action::Swap { expected, new, .. } => Action::Swap {
            expected,
            new,
            held: Some(true),
        },
        Action::Read(_) | Action::Write(_) => action,
    }
}

fn apply(state: Option<Value>, action: Action) -> Option<Option<Value>> {
    match action {
        Action::Read(found) => (found == state).then_some(state),
        Action::Write(value) => Some(Some(value)),
        Action::Swap {
            expected,
            new,
            held,
        } => {
            let holds = expected == state;
            let possible = held.is_none_or(|held| held == holds);
            possible.then_some(if holds { Some(new) } else { state })
        }
    }
}

/// A call or a return, in a list from which done operations are taken out and put back.
#[derive(Clone, Copy, Debug)]
struct Entry {
    operation: usize,
    /// For a call: where its return stands.
    returns_at: Option<usize>,
    before: usize,
    after: usize,
}

#[derive(Debug)]
struct Search<'a> {
    history: &'a [Operation],
    entries: Vec<Entry>,
    done: Vec<u64>,
    state: Option<Value>,
    /// Calls applied, with the state before each.
    path: Vec<(usize, Option<Value>)>,
    seen: HashSet<(Vec<u64>, Option<Value>)>,
    deepest: (usize, usize),
}

/// Index of the sentinel at both ends of the list.
const ENDS: usize = 0;

impl<'a> Search<'a> {
    fn new(history: &'a [Operation]) -> Self {
        let mut moments: Vec<(Moment, usize, bool)> = Vec::new();
        for (n, operation) in history.iter().enumerate() {
            moments.push((operation.called, n, false));
            moments.push((operation.returned.unwrap_or(Moment::MAX), n, true));
        }
        // A call at the moment of a return comes first: then the two overlap.
        moments.sort_unstable_by_key(|(moment, n, is_return)| (*moment, *is_return, *n));
        let last = moments.len();
        let mut entries = vec![Entry {
            operation: usize::MAX,
            returns_at: None,
            before: last,
            after: 1,
        }];
        let mut calls = vec![0; history.len()];
        for (index, (_, n, is_return)) in (1..).zip(&moments) {
            entries.push(Entry {
                operation: *n,
                returns_at: None,
                before: index - 1,
                after: (index + 1) % (last + 1),
            });
            if *is_return {
                entries[calls[*n]].returns_at = Some(index);
            } else {
                calls[*n] = index;
            }
        }
        entries[ENDS].after = usize::from(last > 0);
        Self {
            history,
            entries,
            done: vec![0; history.len().div_ceil(64)],
            state: None,
            path: Vec::new(),
            seen: HashSet::new(),
            deepest: (0, 0),
        }
    }

    fn run(&mut self) -> Verdict {
        let mut at = self.entries[ENDS].after;
        for _ in 0..STEPS_MAX {
            if self.entries[ENDS].after == ENDS {
                return Verdict::Linearizable;
            }
            let entry = self.entries[at];
            if entry.returns_at.is_some() {
                at = if self.take(at) {
                    self.entries[ENDS].after
                } else {
                    entry.after
                };
                continue;
            }
            // A return whose call is not done: nothing beyond it may come first. Step back.
            if self.path.len() >= self.deepest.0 {
                self.deepest = (self.path.len(), entry.operation);
            }
            match self.give_back() {
                Some(call) => at = self.entries[call].after,
                None => return Verdict::Violated(self.history[self.deepest.1]),
            }
        }
        Verdict::Undecided
    }

    /// Applies the operation called at `call`, if the model allows it and it leads to something new.
    fn take(&mut self, call: usize) -> bool {
        let operation = self.entries[call].operation;
        let Some(state) = apply(self.state, self.history[operation].action) else {
            return false;
        };
        self.done[operation / 64] |= 1 << (operation % 64);
        if !self.seen.insert((self.done.clone(), state)) {
            self.done[operation / 64] &= !(1 << (operation % 64));
            return false;
        }
        self.path.push((call, self.state));
        self.state = state;
        self.unlink(call);
        if let Some(returns_at) = self.entries[call].returns_at {
            self.unlink(returns_at);
        }
        true
    }

    fn give_back(&mut self) -> Option<usize> {
        let (call, state) = self.path.pop()?;
        let operation = self.entries[call].operation;
        self.done[operation / 64] &= !(1 << (operation % 64));
        self.state = state;
        if let Some(returns_at) = self.entries[call].returns_at {
            self.link(returns_at);
        }
        self.link(call);
        Some(call)
    }

    fn unlink(&mut self, index: usize) {
        let Entry { before, after, .. } = self.entries[index];
        self.entries[before].after = after;
        self.entries[after].before = before;
    }

    fn link(&mut self, index: usize) {
        let Entry { before, after, .. } = self.entries[index];
        self.entries[before].after = index;
        self.entries[after].before = index;
    }
}

#[cfg(test)]
mod tests;
