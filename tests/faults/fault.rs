//! One fault: what it does, whom it hurts, how it is undone.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::Result;
use meridian_tests::{regions::Regions, wan::Gate};

/// When a member of the home was last frozen or thawed.
static ETCD_FROZEN: Mutex<Option<Instant>> = Mutex::new(None);

/// A leader that wakes up learns within an election, 0.5 s, that it leads no more; several times that.
const DECEIVED: Duration = Duration::from_secs(4);

/// Whether etcd's own linearizable reads may be stale now: a leader that was frozen answers them from what
/// it had (etcd #20418).
pub(crate) fn home_may_be_deceived() -> bool {
    let frozen = *ETCD_FROZEN.lock().expect("no panic under this lock");
    frozen.is_some_and(|at| at.elapsed() < DECEIVED)
}

fn note_frozen() {
    *ETCD_FROZEN.lock().expect("no panic under this lock") = Some(Instant::now());
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A hub is killed, and started again when the fault is over.
    KillHub(usize),
    /// A hub hangs.
    FreezeHub(usize),
    /// A node is killed, and started again.
    KillNode(usize),
    /// A node hangs.
    FreezeNode(usize),
    /// Nothing crosses between a node and all hubs.
    CutNode(usize),
    /// Nothing crosses between a node and one hub.
    CutPair(usize, usize),
    /// Nothing crosses between a delegate and one member.
    PartNodes(usize, usize),
    /// A delegate hears none of its members.
    CutDelegate(usize),
    /// A member of the home's cluster is killed, and started again.
    KillEtcd(usize),
    /// A member of the home's cluster hangs.
    FreezeEtcd(usize),
}

/// When those whom it does not hurt must be served again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mends {
    /// While it lasts.
    Meanwhile,
    /// When it is over: the home itself may be away.
    Afterwards,
}

impl Fault {
    /// Its kind, as the figures name it.
    pub(crate) fn kind(&self, delegates: &[usize]) -> String {
        let who = |n: &usize| match delegates.contains(n) {
            true => "delegate",
            false => "member",
        };
        match self {
            Self::KillHub(hub) => format!("hub {hub} killed"),
            Self::FreezeHub(hub) => format!("hub {hub} frozen"),
            Self::KillNode(node) => format!("{} killed", who(node)),
            Self::FreezeNode(node) => format!("{} frozen", who(node)),
            Self::CutNode(node) => format!("{} cut from the hubs", who(node)),
            Self::CutPair(node, hub) => format!("{} cut from hub {hub}", who(node)),
            Self::PartNodes(..) => "delegate and one member parted".to_owned(),
            Self::CutDelegate(_) => "delegate cut from its members".to_owned(),
            Self::KillEtcd(_) => "etcd leader killed".to_owned(),
            Self::FreezeEtcd(_) => "etcd leader frozen".to_owned(),
        }
    }

    /// The nodes that cannot go on while it lasts.
    pub(crate) fn victim(&self) -> Option<usize> {
        match self {
            Self::KillNode(node) | Self::FreezeNode(node) => Some(*node),
            // Cut from all hubs a node may still read its delegate; a delegate or a lone node not.
            Self::CutNode(node) => Some(*node),
            Self::KillHub(_)
            | Self::FreezeHub(_)
            | Self::CutPair(..)
            | Self::PartNodes(..)
            | Self::CutDelegate(_)
            | Self::KillEtcd(_)
            | Self::FreezeEtcd(_) => None,
        }
    }

    pub(crate) fn mends(&self) -> Mends {
        match self {
            // Who reads the frozen member learns of it by silence, as every client of etcd does.
            Self::FreezeEtcd(_) => Mends::Afterwards,
            Self::KillHub(_)
            | Self::FreezeHub(_)
            | Self::KillNode(_)
            | Self::FreezeNode(_)
            | Self::CutNode(_)
            | Self::CutPair(..)
            | Self::PartNodes(..)
            | Self::CutDelegate(_)
            | Self::KillEtcd(_) => Mends::Meanwhile,
        }
    }

    /// Whether both can last at once and leave somebody to go on: not the same process, not two hubs, not
    /// two members of three.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        self.place() != other.place()
    }

    /// Hubs are one place, the home is one, every node is its own.
    fn place(&self) -> (u8, usize) {
        match self {
            Self::KillHub(_) | Self::FreezeHub(_) | Self::CutPair(..) => (0, 0),
            Self::KillEtcd(_) | Self::FreezeEtcd(_) => (1, 0),
            Self::KillNode(node)
            | Self::FreezeNode(node)
            | Self::CutNode(node)
            | Self::PartNodes(node, _)
            | Self::CutDelegate(node) => (2, *node),
        }
    }

    /// Makes it.
    pub(crate) fn begin(&self, regions: &mut Regions) -> Result<()> {
        match *self {
            Self::KillHub(hub) => regions.hubs[hub].machine.kill(),
            Self::FreezeHub(hub) => regions.hubs[hub].machine.freeze()?,
            Self::KillNode(node) => regions.nodes[node].machine.kill(),
            Self::FreezeNode(node) => regions.nodes[node].machine.freeze()?,
            Self::CutNode(node) => regions.nodes[node].gate_wan(Gate::Cut),
            Self::CutPair(node, hub) => regions.nodes[node].wans[hub].gate(Gate::Cut),
            Self::PartNodes(node, other) => regions.part(node, other),
            Self::CutDelegate(node) => regions.nodes[node].lan.gate(Gate::Cut),
            Self::KillEtcd(member) => regions.cluster.kill(member),
            Self::FreezeEtcd(member) => {
                note_frozen();
                regions.cluster.pause(member)?;
            }
        }
        Ok(())
    }

    /// Undoes it; who was killed is ready again.
    pub(crate) async fn end(&self, regions: &mut Regions) -> Result<()> {
        match *self {
            Self::KillHub(hub) => {
                let machine = &mut regions.hubs[hub].machine;
                machine.launch()?;
                machine.ready().await?;
            }
            Self::FreezeHub(hub) => regions.hubs[hub].machine.thaw()?,
            Self::KillNode(node) => {
                let machine = &mut regions.nodes[node].machine;
                machine.launch()?;
                machine.ready().await?;
            }
            Self::FreezeNode(node) => regions.nodes[node].machine.thaw()?,
            Self::CutNode(node) => regions.nodes[node].gate_wan(Gate::Open),
            Self::CutPair(node, hub) => regions.nodes[node].wans[hub].gate(Gate::Open),
            Self::PartNodes(node, other) => regions.rejoin(node, other),
            Self::CutDelegate(node) => regions.nodes[node].lan.gate(Gate::Open),
            Self::KillEtcd(member) => {
                regions.cluster.restart(member)?;
                regions.cluster.recovered(member).await?;
            }
            Self::FreezeEtcd(member) => {
                note_frozen();
                regions.cluster.resume(member)?;
            }
        }
        Ok(())
    }
}
