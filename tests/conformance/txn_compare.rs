//! KV.Txn: conditions on every target, with every relation, on present and missing keys and on ranges.

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::{
    Compare, PutRequest,
    compare::{CompareResult, TargetUnion},
};
use meridian_tests::{ask, cases, client::Client, expect, suite::Scene};

cases!("txn_compare";
    Alone: every_target_with_every_relation, a_missing_key_is_all_zeroes, the_value_of_a_missing_key_fits_nothing,
        a_range_must_fit_as_a_whole, an_empty_range_is_a_missing_key, values_compare_as_bytes,
        all_conditions_must_hold, a_condition_without_a_value_means_zero, an_unknown_relation_holds,
        an_unknown_target_is_equal,
);

const RELATIONS: [CompareResult; 4] = [
    CompareResult::Equal,
    CompareResult::Greater,
    CompareResult::Less,
    CompareResult::NotEqual,
];

async fn holds(client: &Client, condition: Compare) -> Result<bool> {
    Ok(client
        .txn(ask::when(vec![condition], vec![], vec![]))
        .await?
        .succeeded)
}

/// Checks all four relations of a condition whose subject is equal to, one above and one below `union`.
async fn check(
    client: &Client,
    key: &bytes::Bytes,
    union: impl Fn(i64) -> TargetUnion,
) -> Result<()> {
    for (offset, expected) in [
        (0, [true, false, false, false]),
        (-1, [false, true, false, true]),
        (1, [false, false, true, true]),
    ] {
        for (relation, expected) in RELATIONS.into_iter().zip(expected) {
            let condition = ask::compare(key.clone(), relation, union(offset));
            let what = format!("{relation:?} at {offset}: {condition:?}");
            expect::same(&what, holds(client, condition).await?, expected)?;
        }
    }
    Ok(())
}

async fn every_target_with_every_relation(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let lease = client.lease_grant(ask::lease(100)).await?.id;
    let key = scene.key("k");
    client.put(ask::put(key.clone(), "m")).await?;
    client
        .put(PutRequest {
            lease,
            ..ask::put(key.clone(), "m")
        })
        .await?;
    let kv = client.range(ask::get(key.clone())).await?.kvs.remove(0);
    check(&client, &key, |by| TargetUnion::Version(kv.version + by)).await?;
    check(&client, &key, |by| {
        TargetUnion::CreateRevision(kv.create_revision + by)
    })
    .await?;
    check(&client, &key, |by| {
        TargetUnion::ModRevision(kv.mod_revision + by)
    })
    .await?;
    check(&client, &key, |by| TargetUnion::Lease(kv.lease + by)).await?;
    check(&client, &key, |by| {
        TargetUnion::Value(["l", "m", "n"][usize::try_from(by + 1).unwrap_or(0)].into())
    })
    .await
}

async fn a_missing_key_is_all_zeroes(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("missing"));
    check(&client, &key, TargetUnion::Version).await?;
    check(&client, &key, TargetUnion::CreateRevision).await?;
    check(&client, &key, TargetUnion::ModRevision).await?;
    check(&client, &key, TargetUnion::Lease).await
}

async fn the_value_of_a_missing_key_fits_nothing(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for relation in RELATIONS {
        for value in ["", "v"] {
            let condition = ask::compare(
                scene.key("missing"),
                relation,
                TargetUnion::Value(value.into()),
            );
            expect::same(
                &format!("{relation:?} {value:?}"),
                holds(&client, condition).await?,
                false,
            )?;
        }
    }
    Ok(())
}

fn over_all(scene: &Scene, condition: Compare) -> Compare {
    let prefix = scene.prefix();
    Compare {
        range_end: meridian_tests::watching::prefix_end(&prefix),
        key: prefix,
        ..condition
    }
}

async fn a_range_must_fit_as_a_whole(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let once = || {
        over_all(
            &scene,
            ask::compare("", CompareResult::Equal, TargetUnion::Version(1)),
        )
    };
    expect::same("all once", holds(&client, once()).await?, true)?;
    client.put(ask::put(scene.key("b"), "")).await?;
    expect::same("one twice", holds(&client, once()).await?, false)?;
    let below = over_all(
        &scene,
        ask::compare("", CompareResult::Less, TargetUnion::Version(3)),
    );
    expect::same("all below three", holds(&client, below).await?, true)
}

async fn an_empty_range_is_a_missing_key(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let never = over_all(
        &scene,
        ask::compare("", CompareResult::Equal, TargetUnion::Version(0)),
    );
    expect::same("version 0", holds(&client, never).await?, true)?;
    let once = over_all(
        &scene,
        ask::compare("", CompareResult::Greater, TargetUnion::Version(0)),
    );
    expect::same("above 0", holds(&client, once).await?, false)?;
    let value = over_all(
        &scene,
        ask::compare("", CompareResult::NotEqual, TargetUnion::Value("v".into())),
    );
    expect::same("value", holds(&client, value).await?, false)
}

async fn values_compare_as_bytes(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "ab")).await?;
    for (other, relation) in [
        ("a", CompareResult::Greater),
        ("abc", CompareResult::Less),
        ("\u{ff}", CompareResult::Less),
    ] {
        let condition = ask::compare(scene.key("k"), relation, TargetUnion::Value(other.into()));
        expect::same(other, holds(&client, condition).await?, true)?;
    }
    Ok(())
}

async fn all_conditions_must_hold(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let version = |key, n| {
        ask::compare(
            scene.key(key),
            CompareResult::Equal,
            TargetUnion::Version(n),
        )
    };
    let both = ask::when(vec![version("a", 1), version("b", 1)], vec![], vec![]);
    expect::same("both", client.txn(both).await?.succeeded, true)?;
    let one = ask::when(vec![version("a", 1), version("b", 2)], vec![], vec![]);
    expect::same("one", client.txn(one).await?.succeeded, false)
}

async fn a_condition_without_a_value_means_zero(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let mut condition = ask::compare(
        scene.key("missing"),
        CompareResult::Equal,
        TargetUnion::Version(9),
    );
    condition.target_union = None;
    expect::same(
        "nothing given",
        holds(&client, condition.clone()).await?,
        true,
    )?;
    condition.target_union = Some(TargetUnion::ModRevision(9));
    expect::same(
        "another target's value given",
        holds(&client, condition).await?,
        true,
    )
}

async fn an_unknown_relation_holds(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let mut condition = ask::compare(
        scene.key("a"),
        CompareResult::Equal,
        TargetUnion::Version(9),
    );
    condition.result = 9;
    expect::same("holds", holds(&client, condition).await?, true)
}

async fn an_unknown_target_is_equal(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let mut condition = ask::compare(
        scene.key("a"),
        CompareResult::Equal,
        TargetUnion::Version(9),
    );
    condition.target = 9;
    expect::same("equal", holds(&client, condition.clone()).await?, true)?;
    condition.result = CompareResult::Less.into();
    expect::same("less", holds(&client, condition).await?, false)
}
