//! KV.Range: which keys come back, what is counted, what is cut off.

use anyhow::Result;
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::RangeRequest;
use meridian_tests::{ask, cases, client::Client, expect, suite::Scene};

cases!("range";
    Alone: a_key_comes_with_its_metadata, a_missing_key_is_an_empty_answer, an_interval_is_half_open,
        a_prefix_takes_all_that_begin_so, an_end_of_zero_byte_means_to_the_last_key,
        zero_byte_to_zero_byte_is_everything, an_end_at_or_below_the_key_is_empty, a_limit_sets_more,
        a_limit_of_all_sets_no_more, a_negative_limit_is_none, keys_only_keeps_the_metadata,
        count_only_answers_the_count, count_only_ignores_the_limit, a_limit_keeps_the_whole_count,
        keys_are_bytes_in_byte_order, an_answer_may_be_larger_than_any_default_limit,
        serializable_sees_what_is_settled, pages_at_one_revision_are_one_state,
);

/// Three keys `a`, `b`, `c` with their own names as values.
pub(crate) async fn three(scene: &Scene) -> Result<Client> {
    let client = scene.client()?;
    for name in ["a", "b", "c"] {
        client.put(ask::put(scene.key(name), name)).await?;
    }
    Ok(client)
}

pub(crate) fn keys(scene: &Scene, names: &[&str]) -> Vec<Bytes> {
    names.iter().map(|name| scene.key(name)).collect()
}

async fn keys_of(client: &Client, request: RangeRequest) -> Result<Vec<Bytes>> {
    Ok(client
        .range(request)
        .await?
        .kvs
        .into_iter()
        .map(|kv| kv.key)
        .collect())
}

async fn a_key_comes_with_its_metadata(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let first = expect::revision(
        client
            .put(ask::put(scene.key("k"), "1"))
            .await?
            .header
            .as_ref(),
    )?;
    let second = expect::revision(
        client
            .put(ask::put(scene.key("k"), "2"))
            .await?
            .header
            .as_ref(),
    )?;
    let answer = client.range(ask::get(scene.key("k"))).await?;
    expect::same("keys", answer.kvs.len(), 1)?;
    let kv = &answer.kvs[0];
    expect::same("key", &kv.key, &scene.key("k"))?;
    expect::same("value", &kv.value[..], &b"2"[..])?;
    let metadata = (kv.create_revision, kv.mod_revision, kv.version, kv.lease);
    expect::same("metadata", metadata, (first, second, 2, 0))?;
    expect::same("count and more", (answer.count, answer.more), (1, false))
}

async fn a_missing_key_is_an_empty_answer(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .range(ask::get(scene.key("missing")))
        .await?;
    expect::same(
        "answer",
        (answer.kvs.len(), answer.count, answer.more),
        (0, 0, false),
    )?;
    expect::header(answer.header.as_ref()).map(drop)
}

async fn an_interval_is_half_open(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let request = RangeRequest {
        range_end: scene.key("c"),
        ..ask::get(scene.key("a"))
    };
    expect::same(
        "keys",
        keys_of(&client, request).await?,
        keys(&scene, &["a", "b"]),
    )
}

async fn a_prefix_takes_all_that_begin_so(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let answer = keys_of(&client, ask::list(&scene.prefix())).await?;
    expect::same("keys", answer, keys(&scene, &["a", "b", "c"]))
}

async fn an_end_of_zero_byte_means_to_the_last_key(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    client.put(ask::put("\u{7f}the last key", "")).await?;
    let request = RangeRequest {
        range_end: Bytes::from_static(b"\0"),
        ..ask::get(scene.key("b"))
    };
    let answer = client.range(request).await?;
    let found: Vec<Bytes> = answer.kvs.iter().map(|kv| kv.key.clone()).collect();
    expect::same("first keys", found[..2].to_vec(), keys(&scene, &["b", "c"]))?;
    expect::same("sorted", found.is_sorted(), true)?;
    expect::same(
        "last",
        found.last(),
        Some(&Bytes::from_static(b"\x7fthe last key")),
    )?;
    expect::same("count", answer.count, i64::try_from(found.len())?)
}

async fn zero_byte_to_zero_byte_is_everything(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let zero = Bytes::from_static(b"\0");
    let answer = client
        .range(RangeRequest {
            range_end: zero.clone(),
            ..ask::get(zero)
        })
        .await?;
    let found: Vec<Bytes> = answer.kvs.iter().map(|kv| kv.key.clone()).collect();
    expect::same("sorted", found.is_sorted(), true)?;
    for key in keys(&scene, &["a", "b", "c"]) {
        expect::same("holds our keys", found.contains(&key), true)?;
    }
    expect::same("count", answer.count, i64::try_from(found.len())?)
}

async fn an_end_at_or_below_the_key_is_empty(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    for end in ["b", "a"] {
        let request = RangeRequest {
            range_end: scene.key(end),
            ..ask::get(scene.key("b"))
        };
        let answer = client.range(request).await?;
        expect::same(
            "answer",
            (answer.kvs.len(), answer.count, answer.more),
            (0, 0, false),
        )?;
    }
    Ok(())
}

async fn a_limit_sets_more(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let answer = client
        .range(RangeRequest {
            limit: 2,
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same("answer", (answer.kvs.len(), answer.more), (2, true))
}

async fn a_limit_of_all_sets_no_more(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    for limit in [3, 4, 0, i64::MAX] {
        let answer = client
            .range(RangeRequest {
                limit,
                ..ask::list(&scene.prefix())
            })
            .await?;
        expect::same(
            "answer",
            (answer.kvs.len(), answer.more, answer.count),
            (3, false, 3),
        )?;
    }
    Ok(())
}

async fn a_negative_limit_is_none(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let answer = client
        .range(RangeRequest {
            limit: -1,
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same(
        "answer",
        (answer.kvs.len(), answer.more, answer.count),
        (3, false, 3),
    )
}

async fn a_limit_keeps_the_whole_count(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let answer = client
        .range(RangeRequest {
            limit: 1,
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same("answer", (answer.kvs.len(), answer.count), (1, 3))
}

async fn keys_only_keeps_the_metadata(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let full = client.range(ask::list(&scene.prefix())).await?.kvs;
    let bare = client
        .range(RangeRequest {
            keys_only: true,
            ..ask::list(&scene.prefix())
        })
        .await?
        .kvs;
    let mut expected = full;
    expected.iter_mut().for_each(|kv| kv.value.clear());
    expect::same("keys", bare, expected)
}

async fn count_only_answers_the_count(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let answer = client
        .range(RangeRequest {
            count_only: true,
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same(
        "answer",
        (answer.kvs.len(), answer.count, answer.more),
        (0, 3, false),
    )
}

async fn count_only_ignores_the_limit(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let request = RangeRequest {
        count_only: true,
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

async fn keys_are_bytes_in_byte_order(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let odd: [&[u8]; 6] = [b"\0", b"\x01\xff", b" ", b"\x7f", b"\x80", b"\xff\xff"];
    for tail in odd.iter().rev() {
        let key = [&scene.prefix()[..], tail].concat();
        client.put(ask::put(key, tail.to_vec())).await?;
    }
    let found = client.range(ask::list(&scene.prefix())).await?.kvs;
    let values: Vec<Bytes> = found.into_iter().map(|kv| kv.value).collect();
    expect::same(
        "values in key order",
        values,
        odd.map(Bytes::from_static).to_vec(),
    )
}

async fn an_answer_may_be_larger_than_any_default_limit(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for n in 0..6 {
        client
            .put(ask::put(scene.key(&n.to_string()), vec![n; 1 << 20]))
            .await?;
    }
    for serializable in [false, true] {
        let answer = client
            .range(RangeRequest {
                serializable,
                ..ask::list(&scene.prefix())
            })
            .await?;
        expect::same(
            "bytes",
            answer.kvs.iter().map(|kv| kv.value.len()).sum::<usize>(),
            6 << 20,
        )?;
    }
    client.delete(ask::delete_all(&scene.prefix())).await?;
    Ok(())
}

async fn serializable_sees_what_is_settled(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    // A linearizable read first: from then on the connection may not go back.
    let fresh = client.range(ask::list(&scene.prefix())).await?;
    let settled = client
        .range(RangeRequest {
            serializable: true,
            ..ask::list(&scene.prefix())
        })
        .await?;
    expect::same("keys", settled.kvs, fresh.kvs)
}

async fn pages_at_one_revision_are_one_state(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let whole = client.range(ask::list(&scene.prefix())).await?;
    let revision = expect::revision(whole.header.as_ref())?;
    let mut request = RangeRequest {
        limit: 1,
        revision,
        ..ask::list(&scene.prefix())
    };
    let mut found = Vec::new();
    loop {
        let page = client.range(request.clone()).await?;
        // Changes between pages must not show.
        client.put(ask::put(scene.key("b"), "later")).await?;
        client
            .put(ask::put(scene.key(&format!("new{}", found.len())), "later"))
            .await?;
        found.extend(page.kvs);
        if !page.more {
            break;
        }
        request.key = [&found[found.len() - 1].key[..], b"\0"].concat().into();
    }
    expect::same("keys", found, whole.kvs)
}
