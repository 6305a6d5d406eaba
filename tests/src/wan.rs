//! A bad network on loopback: forwarders of TCP and of UDP whose weather the test makes.
//!
//! Owns the forwarders [`Wan`] (TCP) and [`UdpWan`], what a way may be like ([`Conditions`], and the
//! short [`Weather`]) and the count of what went over it. Invariant: a count is of what was put on the way
//! by its sender, whatever became of it, so it is what a network would charge for. Every way draws its
//! chances from a seed. It knows nothing of what it carries.

mod conditions;
mod counters;
mod line;
mod queue;
mod tcp;
mod udp;

pub use conditions::{Conditions, Gate, Weather};
pub use counters::{Load, Traffic};
pub use tcp::Wan;
pub use udp::UdpWan;

/// The two ways of a forwarder: `THERE` is from who connects to where it leads.
pub(crate) const THERE: usize = 0;

/// From the far end to who connected.
pub(crate) const BACK: usize = 1;

/// What both ways are like, there and back.
type Ways = [Conditions; 2];

#[cfg(test)]
mod tests;
