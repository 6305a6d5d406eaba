//! Which sections go together.
//!
//! [`Shape`] looks at which are there, before any is read, so that its problems are told beside
//! those of the sections themselves; [`Parts::join`] then builds the choice.

use super::link::LinkRead;
use crate::{
    schema::{Gateway, Home, Hub, Roles},
    section::{Section, Wrong},
};

/// Which sections a configuration has.
#[derive(Clone)]
pub(super) struct Shape {
    home: bool,
    /// The key below `[home]` that the environment sets.
    home_from_environment: Option<String>,
    hub: bool,
    link: bool,
    hubs: bool,
    gateway: bool,
}

/// The sections that make a role, as they were read: the outer is none where one is wrong.
pub(super) struct Parts {
    pub(super) home: Option<Option<Home>>,
    pub(super) hub: Option<Option<Hub>>,
    pub(super) link: Option<Option<LinkRead>>,
    pub(super) gateway: Option<Option<Gateway>>,
}

impl Shape {
    pub(super) fn of(root: &Section<'_>) -> Self {
        Self {
            home: root.has(&["home"]),
            home_from_environment: root.set_by_environment("home"),
            hub: root.has(&["hub"]),
            link: root.has(&["link"]),
            hubs: root.has(&["link", "hubs"]),
            gateway: root.has(&["gateway"]),
        }
    }

    pub(super) fn is_hub(&self) -> bool {
        self.hub
    }

    /// Reports what does not go together.
    pub(super) fn check(&self, root: &Section<'_>) {
        let report = |key: &str, wrong: &str, right: &str| {
            root.report(key, false, Wrong::new(wrong, right));
        };
        let no_home = || {
            report(
                "home",
                "is missing",
                "add [home] with the endpoints that writes go to",
            )
        };
        match (self.hub, self.link, self.hubs) {
            (true, link, _) => {
                if !self.home {
                    let wrong = "is missing, and a hub stands beside the home";
                    report(
                        "home",
                        wrong,
                        "add [home] with the endpoints that writes go to",
                    );
                }
                if !link {
                    let wrong = "is missing, and a hub talks to other regions over mutual TLS only";
                    let right = "add [link] with ca, cert and key; `meridian pki init` makes them";
                    report("link", wrong, right);
                }
            }
            (false, _, true) if self.home => self.report_home(root),
            (false, _, true) => {}
            (false, true, false) => report(
                "link.hubs",
                "is missing, and this node is no hub, so [link] leads nowhere",
                "give the hubs' addresses, as in [\"hub-1.us.example.org:7379\"], \
                 add [hub], or drop [link]",
            ),
            (false, false, false) if self.home => {}
            (false, false, false) => no_home(),
        }
        if !self.hub && !self.gateway {
            let wrong = "is missing, so this node has no role";
            let right = "add [gateway.etcd] to serve etcd clients, or [hub] to serve other regions";
            report("gateway", wrong, right);
        }
    }

    fn report_home(&self, root: &Section<'_>) {
        let wrong = "is given, but so is link.hubs, and calls go through the hub, which alone \
                     needs to reach the home";
        let right = "drop [home], or drop [link] to go to the home directly";
        let key = self.home_from_environment.as_deref();
        root.report(
            key.unwrap_or("home"),
            key.is_some(),
            Wrong::new(wrong, right),
        );
    }
}

impl Parts {
    /// The roles, if all sections are right and go together.
    pub(super) fn join(self) -> Option<Roles> {
        let Self {
            home,
            hub,
            link,
            gateway,
        } = self;
        match (home?, hub?, link?, gateway?) {
            (Some(home), None, None, Some(gateway)) => Some(Roles::Gateway { home, gateway }),
            (Some(home), Some(hub), Some(LinkRead { link, uplink: None }), gateway) => {
                Some(Roles::Hub {
                    home,
                    hub,
                    link,
                    gateway,
                })
            }
            (
                None,
                None,
                Some(LinkRead {
                    link,
                    uplink: Some(uplink),
                }),
                Some(gateway),
            ) => Some(Roles::Region {
                link,
                uplink,
                gateway,
            }),
            // Every other set of sections has been reported by the shape's check.
            (None | Some(_), None | Some(_), None | Some(_), None | Some(_)) => None,
        }
    }
}
