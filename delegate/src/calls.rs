//! Calls over the link: a node's [`Home`], and its other end at the hub.
//!
//! Owns [`LinkHome`], which a node uses where it would use a home beside it, and [`serve`], which
//! answers for a real home. Invariants: [`Fate::NotSent`] is said only of a call for which no stream
//! was opened; a call that may leave something behind is never sent twice; a call that its client
//! drops is dropped at the home too. Messages and metadata pass untouched. It knows no replica and
//! does not choose hub or delegate.
//!
//! [`Fate::NotSent`]: meridian_home::Fate::NotSent
//! [`Home`]: meridian_home::Home

mod caller;
mod convert;
mod describe;
mod duplex;
mod flow;
mod home;
pub mod index;
mod range;
mod serve;
mod streaming;
mod unary;

use std::time::Instant;

use async_trait::async_trait;
use meridian_home::CallError;

use crate::link::Link;

pub use home::LinkHome;
pub use index::{REGION_PACE, Shared};
pub use serve::serve;

/// The links that calls go over, as the node has them now.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// The link to the hub, waited for until `deadline` if there is none.
    ///
    /// # Errors
    /// None came; [`CallError::no_connection`] says it as a home with no endpoint up does.
    async fn hub(&self, deadline: Instant) -> Result<Link, CallError>;

    /// The link to the region's delegate, if another node is that and the link stands.
    fn delegate(&self) -> Option<Link>;
}

#[cfg(test)]
mod tests;
