//! KV.Range: sorting by every target, filters by revision, and how both meet limit and count.

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::{
    RangeRequest, RangeResponse,
    range_request::{SortOrder, SortTarget},
};
use meridian_tests::{ask, cases, client::Client, expect, suite::Scene};

cases!("range_sorted";
    Alone: every_target_in_every_order, a_target_without_an_order_ascends, sorting_comes_before_the_limit,
        mod_revision_bounds_are_inclusive, create_revision_bounds_are_inclusive,
        filters_leave_the_count_alone, a_limit_cuts_after_the_filters, filters_that_take_all_set_no_more,
        filters_and_sorting_together,
);

/// Keys whose orders by key, version, creation, change and value all differ:
///
/// | key | created | changed | version | value |
/// |---|---|---|---|---|
/// | a | 2nd | 2nd | 2 | z |
/// | b | 3rd | 1st | 1 | x |
/// | c | 1st | 3rd | 3 | y |
async fn different_orders(scene: &Scene) -> Result<(Client, Vec<i64>)> {
    let client = scene.client()?;
    let mut revisions = Vec::new();
    for (key, value) in [
        ("c", "1"),
        ("a", "1"),
        ("b", "x"),
        ("a", "z"),
        ("c", "2"),
        ("c", "y"),
    ] {
        let answer = client.put(ask::put(scene.key(key), value)).await?;
        revisions.push(expect::revision(answer.header.as_ref())?);
    }
    Ok((client, revisions))
}

fn names(scene: &Scene, answer: &RangeResponse) -> String {
    let start = scene.prefix().len();
    answer
        .kvs
        .iter()
        .map(|kv| String::from_utf8_lossy(&kv.key[start..]).into_owned())
        .collect()
}

fn sorted(scene: &Scene, target: SortTarget, order: SortOrder) -> RangeRequest {
    RangeRequest {
        sort_target: target.into(),
        sort_order: order.into(),
        ..ask::list(&scene.prefix())
    }
}

const ASCENDING: [(SortTarget, &str); 5] = [
    (SortTarget::Key, "abc"),
    (SortTarget::Version, "bac"),
    (SortTarget::Create, "cab"),
    (SortTarget::Mod, "bac"),
    (SortTarget::Value, "bca"),
];

async fn every_target_in_every_order(scene: Scene) -> Result<()> {
    let (client, _) = different_orders(&scene).await?;
    for (target, ascending) in ASCENDING {
        let answer = client
            .range(sorted(&scene, target, SortOrder::Ascend))
            .await?;
        expect::same(
            &format!("{target:?} ascending"),
            names(&scene, &answer),
            ascending,
        )?;
        let answer = client
            .range(sorted(&scene, target, SortOrder::Descend))
            .await?;
        let descending: String = ascending.chars().rev().collect();
        expect::same(
            &format!("{target:?} descending"),
            names(&scene, &answer),
            descending,
        )?;
    }
    Ok(())
}

async fn a_target_without_an_order_ascends(scene: Scene) -> Result<()> {
    let (client, _) = different_orders(&scene).await?;
    for (target, ascending) in ASCENDING {
        let answer = client
            .range(sorted(&scene, target, SortOrder::None))
            .await?;
        expect::same(&format!("{target:?}"), names(&scene, &answer), ascending)?;
    }
    Ok(())
}

async fn sorting_comes_before_the_limit(scene: Scene) -> Result<()> {
    let (client, _) = different_orders(&scene).await?;
    let request = RangeRequest {
        limit: 1,
        ..sorted(&scene, SortTarget::Key, SortOrder::Descend)
    };
    let answer = client.range(request).await?;
    expect::same(
        "keys",
        (names(&scene, &answer).as_str(), answer.more, answer.count),
        ("c", true, 3),
    )?;
    let request = RangeRequest {
        limit: 2,
        ..sorted(&scene, SortTarget::Value, SortOrder::Ascend)
    };
    let answer = client.range(request).await?;
    expect::same(
        "keys",
        (names(&scene, &answer).as_str(), answer.more, answer.count),
        ("bc", true, 3),
    )
}

async fn mod_revision_bounds_are_inclusive(scene: Scene) -> Result<()> {
    let (client, at) = different_orders(&scene).await?;
    let all = ask::list(&scene.prefix());
    // b changed at at[2], a at at[3], c at at[5].
    let min = client
        .range(RangeRequest {
            min_mod_revision: at[3],
            ..all.clone()
        })
        .await?;
    expect::same("from a's", names(&scene, &min), "ac")?;
    let max = client
        .range(RangeRequest {
            max_mod_revision: at[3],
            ..all.clone()
        })
        .await?;
    expect::same("to a's", names(&scene, &max), "ab")?;
    let both = RangeRequest {
        min_mod_revision: at[3],
        max_mod_revision: at[3],
        ..all
    };
    expect::same("only a's", names(&scene, &client.range(both).await?), "a")
}

async fn create_revision_bounds_are_inclusive(scene: Scene) -> Result<()> {
    let (client, at) = different_orders(&scene).await?;
    let all = ask::list(&scene.prefix());
    // c was created at at[0], a at at[1], b at at[2].
    let min = client
        .range(RangeRequest {
            min_create_revision: at[1],
            ..all.clone()
        })
        .await?;
    expect::same("from a's", names(&scene, &min), "ab")?;
    let max = client
        .range(RangeRequest {
            max_create_revision: at[1],
            ..all.clone()
        })
        .await?;
    expect::same("to a's", names(&scene, &max), "ac")?;
    let both = RangeRequest {
        min_create_revision: at[1],
        max_create_revision: at[1],
        ..all
    };
    expect::same("only a's", names(&scene, &client.range(both).await?), "a")
}

async fn filters_leave_the_count_alone(scene: Scene) -> Result<()> {
    let (client, at) = different_orders(&scene).await?;
    let answer = client
        .range(RangeRequest {
            min_mod_revision: at[5],
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same(
        "answer",
        (answer.kvs.len(), answer.count, answer.more),
        (1, 3, false),
    )
}

async fn filters_that_take_all_set_no_more(scene: Scene) -> Result<()> {
    let (client, at) = different_orders(&scene).await?;
    let request = RangeRequest {
        min_mod_revision: at[5] + 1,
        limit: 1,
        ..ask::list(&scene.prefix())
    };
    let answer = client.range(request).await?;
    expect::same(
        "answer",
        (answer.kvs.len(), answer.count, answer.more),
        (0, 3, false),
    )
}

async fn a_limit_cuts_after_the_filters(scene: Scene) -> Result<()> {
    let (client, at) = different_orders(&scene).await?;
    // Were the limit applied first, only a would be looked at, and nothing be left.
    let request = RangeRequest {
        max_mod_revision: at[2],
        limit: 1,
        ..ask::list(&scene.prefix())
    };
    let answer = client.range(request).await?;
    expect::same(
        "one left",
        (names(&scene, &answer).as_str(), answer.more, answer.count),
        ("b", false, 3),
    )?;
    let request = RangeRequest {
        min_mod_revision: at[3],
        limit: 1,
        ..ask::list(&scene.prefix())
    };
    let answer = client.range(request).await?;
    expect::same(
        "two left",
        (names(&scene, &answer).as_str(), answer.more, answer.count),
        ("a", true, 3),
    )
}

async fn filters_and_sorting_together(scene: Scene) -> Result<()> {
    let (client, at) = different_orders(&scene).await?;
    let request = sorted(&scene, SortTarget::Mod, SortOrder::Descend);
    let request = RangeRequest {
        min_mod_revision: at[3],
        limit: 1,
        ..request
    };
    let answer = client.range(request).await?;
    expect::same(
        "answer",
        (names(&scene, &answer).as_str(), answer.more, answer.count),
        ("c", true, 3),
    )
}
