//! What a [`HubChooser`](super::HubChooser) is told and what it answers.

use smallvec::SmallVec;

/// A hub by its place in the configured order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubIndex(pub usize);

/// What happened to the links to hubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A dialled hub welcomed us.
    Up(HubIndex),
    /// A dial failed, or the link of a hub ended.
    Down(HubIndex),
    /// [`TICK`](crate::machine::TICK) passed.
    Tick,
}

/// What a node is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Dial it and say hello; answer with [`Event::Up`] or [`Event::Down`].
    Dial(HubIndex),
    /// Its link is the hub link from now on (the source chooser is told `HubDown` if another was, then
    /// `HubUp`).
    Use(HubIndex),
    /// Give up this dial, or close this link.
    Close(HubIndex),
}

/// Mostly none.
pub type Commands = SmallVec<[Command; 2]>;
