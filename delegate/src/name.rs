//! Who a node is: its region and its name in it.
//!
//! Owns [`NodeName`] and its text, `region/name`. How a certificate states it is not known here.

use std::fmt;

/// A node: its region and its name, unique in the region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName {
    /// The region (one datacenter).
    pub region: String,
    /// The node's name.
    pub name: String,
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.name)
    }
}
