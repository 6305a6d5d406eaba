//! Reads at old revisions: the state as it was, under a header that says how it is.

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::RangeRequest;
use meridian_tests::{ask, cases, expect, suite::Scene};

cases!("history";
    Alone: an_old_revision_shows_the_old_value, a_negative_revision_is_the_newest,
        a_deleted_key_is_seen_before_its_end, a_key_made_anew_begins_anew, an_old_count_is_the_count_of_then,
        old_states_can_be_sorted_and_limited,
);

fn at(revision: i64, request: RangeRequest) -> RangeRequest {
    RangeRequest {
        revision,
        ..request
    }
}

async fn an_old_revision_shows_the_old_value(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut revisions = Vec::new();
    for n in 0..4 {
        let answer = client.put(ask::put(scene.key("k"), n.to_string())).await?;
        revisions.push(expect::revision(answer.header.as_ref())?);
    }
    for serializable in [false, true] {
        for (n, revision) in revisions.iter().enumerate() {
            let request = RangeRequest {
                serializable,
                ..at(*revision, ask::get(scene.key("k")))
            };
            let answer = client.range(request).await?;
            expect::same("value", &answer.kvs[0].value[..], n.to_string().as_bytes())?;
            let metadata = (answer.kvs[0].mod_revision, answer.kvs[0].version);
            expect::same("metadata", metadata, (*revision, i64::try_from(n)? + 1))?;
            expect::same(
                "revision in the header",
                expect::revision(answer.header.as_ref())?,
                revisions[3],
            )?;
        }
    }
    Ok(())
}

async fn a_negative_revision_is_the_newest(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    for revision in [-1, i64::MIN] {
        let answer = client.range(at(revision, ask::get(scene.key("k")))).await?;
        expect::same("keys", answer.kvs.len(), 1)?;
    }
    Ok(())
}

async fn a_deleted_key_is_seen_before_its_end(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let born = expect::revision(
        client
            .put(ask::put(scene.key("k"), "1"))
            .await?
            .header
            .as_ref(),
    )?;
    let gone = expect::revision(
        client
            .delete(ask::delete(scene.key("k")))
            .await?
            .header
            .as_ref(),
    )?;
    expect::same(
        "then",
        client
            .range(at(born, ask::get(scene.key("k"))))
            .await?
            .kvs
            .len(),
        1,
    )?;
    expect::same(
        "after",
        client
            .range(at(gone, ask::get(scene.key("k"))))
            .await?
            .kvs
            .len(),
        0,
    )?;
    expect::same(
        "before",
        client
            .range(at(born - 1, ask::get(scene.key("k"))))
            .await?
            .kvs
            .len(),
        0,
    )?;
    expect::same(
        "now",
        client.range(ask::get(scene.key("k"))).await?.kvs.len(),
        0,
    )
}

async fn a_key_made_anew_begins_anew(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    client.put(ask::put(scene.key("k"), "2")).await?;
    client.delete(ask::delete(scene.key("k"))).await?;
    let again = expect::revision(
        client
            .put(ask::put(scene.key("k"), "3"))
            .await?
            .header
            .as_ref(),
    )?;
    let kv = client.range(ask::get(scene.key("k"))).await?.kvs.remove(0);
    expect::same(
        "metadata",
        (kv.create_revision, kv.mod_revision, kv.version),
        (again, again, 1),
    )
}

async fn an_old_count_is_the_count_of_then(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut revisions = Vec::new();
    for name in ["a", "b", "c"] {
        let answer = client.put(ask::put(scene.key(name), "")).await?;
        revisions.push(expect::revision(answer.header.as_ref())?);
    }
    client.delete(ask::delete(scene.key("a"))).await?;
    for (n, revision) in revisions.into_iter().enumerate() {
        let request = RangeRequest {
            count_only: true,
            ..at(revision, ask::list(&scene.prefix()))
        };
        expect::same(
            "count",
            client.range(request).await?.count,
            i64::try_from(n)? + 1,
        )?;
    }
    Ok(())
}

async fn old_states_can_be_sorted_and_limited(scene: Scene) -> Result<()> {
    use meridian_etcd_api::etcdserverpb::range_request::SortOrder;
    let client = super::range::three(&scene).await?;
    let then = expect::revision(
        client
            .range(ask::list(&scene.prefix()))
            .await?
            .header
            .as_ref(),
    )?;
    client.put(ask::put(scene.key("d"), "")).await?;
    client.delete(ask::delete(scene.key("c"))).await?;
    let request = RangeRequest {
        limit: 2,
        sort_order: SortOrder::Descend.into(),
        ..ask::list(&scene.prefix())
    };
    let answer = client.range(at(then, request)).await?;
    let found: Vec<_> = answer.kvs.iter().map(|kv| kv.key.clone()).collect();
    expect::same("keys", found, super::range::keys(&scene, &["c", "b"]))?;
    expect::same("more and count", (answer.more, answer.count), (true, 3))
}
