//! Cluster: what clients that follow the member list learn, and where that leads them.

use anyhow::{Result, ensure};
use meridian_etcd_api::etcdserverpb::{
    MemberListRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest,
};
use meridian_tests::{cases, client::Client, expect, suite::Scene};
use tonic::Code;

cases!("cluster";
    Alone: members_have_names_ids_and_urls, clients_that_follow_the_list_arrive, the_header_names_the_cluster,
        the_list_holds_who_answers, removing_an_unknown_member_is_refused, updating_an_unknown_member_is_refused,
        promoting_an_unknown_member_is_refused;
);

async fn members_have_names_ids_and_urls(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .member_list(MemberListRequest { linearizable: true })
        .await?;
    ensure!(!answer.members.is_empty(), "no members");
    for member in answer.members {
        // A client that synchronises passes over members without a name, and over learners.
        let usable =
            !member.name.is_empty() && !member.is_learner && !member.client_ur_ls.is_empty();
        ensure!(
            usable && member.id != 0,
            "of no use to a client: {member:?}"
        );
    }
    Ok(())
}

async fn clients_that_follow_the_list_arrive(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .member_list(MemberListRequest::default())
        .await?;
    let urls: Vec<String> = answer
        .members
        .into_iter()
        .flat_map(|member| member.client_ur_ls)
        .collect();
    let own = format!("http://{}", scene.target()?.address());
    ensure!(urls.contains(&own), "{urls:?} would lead away from {own}");
    for url in urls {
        Client::connect(&url)?
            .range(meridian_tests::ask::get(scene.key("k")))
            .await?;
    }
    Ok(())
}

async fn the_header_names_the_cluster(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let listed = client.member_list(MemberListRequest::default()).await?;
    let read = client
        .range(meridian_tests::ask::get(scene.key("k")))
        .await?;
    let (listed, read) = (
        expect::header(listed.header.as_ref())?,
        expect::header(read.header.as_ref())?,
    );
    expect::same("cluster", listed.cluster_id, read.cluster_id)?;
    expect::same("revision", listed.revision, 0)
}

async fn the_list_holds_who_answers(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .member_list(MemberListRequest::default())
        .await?;
    let own = expect::header(answer.header.as_ref())?.member_id;
    let listed: Vec<u64> = answer.members.iter().map(|member| member.id).collect();
    ensure!(
        listed.contains(&own),
        "{own} answers, but {listed:?} are listed"
    );
    Ok(())
}

const NOT_FOUND: &str = "etcdserver: member not found";

async fn removing_an_unknown_member_is_refused(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .member_remove(MemberRemoveRequest { id: 0x77 })
        .await;
    expect::refused(answer, Code::NotFound, NOT_FOUND)
}

async fn updating_an_unknown_member_is_refused(scene: Scene) -> Result<()> {
    let request = MemberUpdateRequest {
        id: 0x77,
        peer_ur_ls: vec!["http://127.0.0.1:1".to_owned()],
    };
    expect::refused(
        scene.client()?.member_update(request).await,
        Code::NotFound,
        NOT_FOUND,
    )
}

async fn promoting_an_unknown_member_is_refused(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .member_promote(MemberPromoteRequest { id: 0x77 })
        .await;
    expect::refused(answer, Code::NotFound, NOT_FOUND)
}
