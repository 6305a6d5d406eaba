//! What a node does and by which way it comes to the home, as a choice that cannot be wrong.
//!
//! In the file the choice is made by which tables are there; `effective` writes those tables.

use serde::{Serialize, Serializer};

use super::{Admin, Conf, Gateway, Home, Hub, Link, Log, Node, Uplink};

/// What a node does. It goes straight to the home or through hubs, never both; a hub goes straight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roles {
    /// A gateway that goes straight to the home: `[home]` and `[gateway]`.
    Gateway {
        /// The cluster that accepts writes.
        home: Home,
        /// The gateway role.
        gateway: Gateway,
    },
    /// A hub beside the home: `[home]`, `[hub]`, `[link]`, and `[gateway]` if it has a door too.
    Hub {
        /// The cluster that accepts writes.
        home: Home,
        /// The hub role.
        hub: Hub,
        /// Its end of all links.
        link: Link,
        /// The gateway role, should this node have it too.
        gateway: Option<Gateway>,
    },
    /// A gateway that goes through hubs: `[link]` with `hubs`, and `[gateway]`.
    Region {
        /// Its end of all links.
        link: Link,
        /// Its way to the hubs, and the way of its region's members to it.
        uplink: Uplink,
        /// The gateway role.
        gateway: Gateway,
    },
}

impl Roles {
    /// The home, if this node goes straight to it.
    pub fn home(&self) -> Option<&Home> {
        match self {
            Self::Gateway { home, .. } | Self::Hub { home, .. } => Some(home),
            Self::Region { .. } => None,
        }
    }

    /// The hub role.
    pub fn hub(&self) -> Option<&Hub> {
        match self {
            Self::Hub { hub, .. } => Some(hub),
            Self::Gateway { .. } | Self::Region { .. } => None,
        }
    }

    /// Its end of links, if it has any.
    pub fn link(&self) -> Option<&Link> {
        match self {
            Self::Hub { link, .. } | Self::Region { link, .. } => Some(link),
            Self::Gateway { .. } => None,
        }
    }

    /// Its way to the hubs, if it goes through them.
    pub fn uplink(&self) -> Option<&Uplink> {
        match self {
            Self::Region { uplink, .. } => Some(uplink),
            Self::Gateway { .. } | Self::Hub { .. } => None,
        }
    }

    /// The gateway role.
    pub fn gateway(&self) -> Option<&Gateway> {
        match self {
            Self::Gateway { gateway, .. } | Self::Region { gateway, .. } => Some(gateway),
            Self::Hub { gateway, .. } => gateway.as_ref(),
        }
    }
}

impl Conf {
    /// The configuration in effect, as TOML that can be read again.
    pub fn effective(&self) -> String {
        toml::to_string(self).expect("every value of the schema has a TOML form")
    }
}

/// The tables of a file.
#[derive(Serialize)]
struct Tables<'a> {
    node: &'a Node,
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<&'a Home>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<&'a Hub>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkTable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<&'a Gateway>,
    admin: &'a Admin,
    log: &'a Log,
}

#[derive(Serialize)]
struct LinkTable<'a> {
    #[serde(flatten)]
    uplink: Option<&'a Uplink>,
    #[serde(flatten)]
    link: &'a Link,
}

impl Serialize for Conf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            node,
            roles,
            admin,
            log,
        } = self;
        let uplink = roles.uplink();
        Tables {
            node,
            home: roles.home(),
            hub: roles.hub(),
            link: roles.link().map(|link| LinkTable { uplink, link }),
            gateway: roles.gateway(),
            admin,
            log,
        }
        .serialize(serializer)
    }
}
