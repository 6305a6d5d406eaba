//! `Cluster.MemberList`: this gateway as the one member.
//!
//! Clients that synchronise their endpoints take them from here; the home's own members would lead
//! them out of the region.

use meridian_etcd_api::etcdserverpb::{Member, MemberListResponse, ResponseHeader};

use crate::{
    call::{Answered, Call, Served, without_revision},
    wire,
};

/// The member list; its header has no revision, as etcd's has none.
pub(crate) fn members(call: &Call<'_>) -> Answered {
    let door = &call.connection.door;
    let facts = without_revision(door.engine.facts());
    let member = Member {
        id: facts.member_id,
        name: door.engine.node().to_owned(),
        peer_ur_ls: door.advertise.clone(),
        client_ur_ls: door.advertise.clone(),
        is_learner: false,
    };
    let header = ResponseHeader {
        cluster_id: facts.cluster_id,
        member_id: facts.member_id,
        revision: facts.revision.get(),
        raft_term: facts.raft_term,
    };
    let response = MemberListResponse {
        header: Some(header),
        members: vec![member],
    };
    let served = Served::Local {
        staleness: door.engine.staleness(),
    };
    Answered {
        frame: wire::framed(&response),
        served,
    }
}
