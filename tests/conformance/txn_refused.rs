//! KV.Txn: what is refused as a whole, with which code and words, and that nothing of it is done.

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareResult, TargetUnion},
};
use meridian_tests::{ask, cases, client::Client, expect, suite::Scene};
use tonic::Code;

cases!("txn_refused";
    Alone: too_many_operations, too_many_conditions, nesting_is_counted_along_the_path, an_empty_operation,
        empty_keys, one_key_put_twice, a_put_inside_a_deleted_range, one_key_put_in_nested_txns,
        a_put_beside_a_nested_put, deleting_twice_is_allowed, the_other_branch_is_checked_too, an_unknown_lease,
        put_flags_are_checked, a_missing_key_for_ignore_value, a_future_revision, a_compacted_revision,
        refused_means_nothing_done,
);

async fn invalid(client: &Client, txn: TxnRequest, text: &str) -> Result<()> {
    expect::refused(client.txn(txn).await, Code::InvalidArgument, text)
}

const DUPLICATE: &str = "etcdserver: duplicate key given in txn request";
const TOO_MANY: &str = "etcdserver: too many operations in txn request";
const NO_KEY: &str = "etcdserver: key is not provided";

fn puts(scene: &Scene, n: usize) -> Vec<RequestOp> {
    (0..n)
        .map(|n| ask::op_put(scene.key(&n.to_string()), ""))
        .collect()
}

async fn too_many_operations(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    invalid(&client, ask::all_of(puts(&scene, 129)), TOO_MANY).await?;
    invalid(
        &client,
        ask::when(vec![], vec![], puts(&scene, 129)),
        TOO_MANY,
    )
    .await?;
    let reads = (0..129).map(|_| ask::op_range(ask::get("k"))).collect();
    invalid(&client, ask::all_of(reads), TOO_MANY).await
}

async fn too_many_conditions(scene: Scene) -> Result<()> {
    let condition = ask::unchanged_since(scene.key("k"), 0);
    invalid(
        &scene.client()?,
        ask::when(vec![condition; 129], vec![], vec![]),
        TOO_MANY,
    )
    .await
}

async fn nesting_is_counted_along_the_path(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    // 64 outside leave 64 inside: 64 pass, 65 do not.
    let outer = |inner: usize| {
        let mut ops = vec![ask::op_txn(ask::all_of(puts(&scene, inner)))];
        ops.extend((0..63).map(|_| ask::op_range(ask::get("k"))));
        ask::all_of(ops)
    };
    client.txn(outer(64)).await?;
    invalid(&client, outer(65), TOO_MANY).await
}

async fn an_empty_operation(scene: Scene) -> Result<()> {
    let txn = ask::all_of(vec![RequestOp { request: None }]);
    let client = scene.client()?;
    invalid(&client, txn, "etcdserver: key not found").await?;
    // And whoever answered is still there.
    client
        .range(ask::get(scene.key("k")))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn empty_keys(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for op in [
        ask::op_put("", "v"),
        ask::op_range(ask::get("")),
        ask::op_delete(ask::delete("")),
    ] {
        invalid(&client, ask::all_of(vec![op.clone()]), NO_KEY).await?;
        invalid(&client, ask::when(vec![], vec![], vec![op.clone()]), NO_KEY).await?;
        invalid(
            &client,
            ask::all_of(vec![ask::op_txn(ask::all_of(vec![op]))]),
            NO_KEY,
        )
        .await?;
    }
    let condition = ask::compare("", CompareResult::Equal, TargetUnion::Version(0));
    invalid(&client, ask::when(vec![condition], vec![], vec![]), NO_KEY).await
}

async fn one_key_put_twice(scene: Scene) -> Result<()> {
    let put = ask::op_put(scene.key("k"), "");
    invalid(
        &scene.client()?,
        ask::all_of(vec![put.clone(), put]),
        DUPLICATE,
    )
    .await
}

async fn a_put_inside_a_deleted_range(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let put = || ask::op_put(scene.key("k"), "");
    let range = DeleteRangeRequest {
        range_end: scene.key("l"),
        ..ask::delete(scene.key("a"))
    };
    for delete in [ask::delete(scene.key("k")), range] {
        let delete = ask::op_delete(delete);
        invalid(&client, ask::all_of(vec![put(), delete.clone()]), DUPLICATE).await?;
        invalid(&client, ask::all_of(vec![delete, put()]), DUPLICATE).await?;
    }
    // The end of a range is not in it.
    let beside = DeleteRangeRequest {
        range_end: scene.key("k"),
        ..ask::delete(scene.key("a"))
    };
    client
        .txn(ask::all_of(vec![ask::op_delete(beside), put()]))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn one_key_put_in_nested_txns(scene: Scene) -> Result<()> {
    let inner = || ask::op_txn(ask::all_of(vec![ask::op_put(scene.key("k"), "")]));
    invalid(
        &scene.client()?,
        ask::all_of(vec![inner(), inner()]),
        DUPLICATE,
    )
    .await
}

async fn a_put_beside_a_nested_put(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let put = || ask::op_put(scene.key("k"), "");
    // In whichever branch the inner one stands.
    for inner in [
        ask::all_of(vec![put()]),
        ask::when(vec![], vec![], vec![put()]),
    ] {
        invalid(
            &client,
            ask::all_of(vec![put(), ask::op_txn(inner.clone())]),
            DUPLICATE,
        )
        .await?;
        let delete = ask::op_delete(ask::delete(scene.key("k")));
        invalid(
            &client,
            ask::all_of(vec![delete, ask::op_txn(inner)]),
            DUPLICATE,
        )
        .await?;
    }
    Ok(())
}

async fn deleting_twice_is_allowed(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let delete = ask::op_delete(ask::delete(scene.key("a")));
    let answer = client
        .txn(ask::all_of(vec![delete.clone(), delete]))
        .await?;
    expect::same("answers", answer.responses.len(), 2)
}

async fn the_other_branch_is_checked_too(scene: Scene) -> Result<()> {
    let put = ask::op_put(scene.key("k"), "");
    invalid(
        &scene.client()?,
        ask::when(vec![], vec![], vec![put.clone(), put]),
        DUPLICATE,
    )
    .await
}

async fn an_unknown_lease(scene: Scene) -> Result<()> {
    let put = PutRequest {
        lease: 0x7777_0002,
        ..ask::put(scene.key("k"), "v")
    };
    let txn = ask::all_of(vec![
        ask::op_put(scene.key("other"), ""),
        ask::op_put_as(put),
    ]);
    let client = scene.client()?;
    expect::refused(
        client.txn(txn).await,
        Code::NotFound,
        "etcdserver: requested lease not found",
    )?;
    expect::same(
        "written",
        client.range(ask::list(&scene.prefix())).await?.count,
        0,
    )
}

async fn put_flags_are_checked(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let put = PutRequest {
        ignore_value: true,
        ..ask::put(scene.key("k"), "v")
    };
    invalid(
        &client,
        ask::all_of(vec![ask::op_put_as(put)]),
        "etcdserver: value is provided",
    )
    .await?;
    let put = PutRequest {
        ignore_lease: true,
        lease: 7,
        ..ask::put(scene.key("k"), "v")
    };
    invalid(
        &client,
        ask::all_of(vec![ask::op_put_as(put)]),
        "etcdserver: lease is provided",
    )
    .await
}

async fn a_missing_key_for_ignore_value(scene: Scene) -> Result<()> {
    let put = PutRequest {
        ignore_value: true,
        ..ask::put(scene.key("missing"), "")
    };
    invalid(
        &scene.client()?,
        ask::all_of(vec![ask::op_put_as(put)]),
        "etcdserver: key not found",
    )
    .await
}

/// The same read, alone in its Txn and beside a write.
fn with_and_without_a_write(scene: &Scene, read: RangeRequest) -> [TxnRequest; 2] {
    let read = ask::op_range(read);
    [
        ask::all_of(vec![read.clone()]),
        ask::all_of(vec![ask::op_put(scene.key("k"), ""), read]),
    ]
}

async fn a_future_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let read = RangeRequest {
        revision: i64::MAX,
        ..ask::get(scene.key("k"))
    };
    let text = "etcdserver: mvcc: required revision is a future revision";
    for txn in with_and_without_a_write(&scene, read) {
        expect::refused(client.txn(txn).await, Code::OutOfRange, text)?;
    }
    expect::same(
        "written",
        client.range(ask::list(&scene.prefix())).await?.count,
        0,
    )
}

async fn a_compacted_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let at = expect::revision(
        client
            .put(ask::put(scene.key("x"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    client
        .compact(CompactionRequest {
            revision: at,
            physical: false,
        })
        .await?;
    let read = RangeRequest {
        revision: at - 1,
        ..ask::get(scene.key("x"))
    };
    let text = "etcdserver: mvcc: required revision has been compacted";
    for txn in with_and_without_a_write(&scene, read) {
        expect::refused(client.txn(txn).await, Code::OutOfRange, text)?;
    }
    expect::same(
        "written",
        client.range(ask::get(scene.key("k"))).await?.count,
        0,
    )
}

async fn refused_means_nothing_done(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let before = expect::revision(client.range(ask::get("k")).await?.header.as_ref())?;
    let (first, second) = (
        ask::op_put(scene.key("a"), ""),
        ask::op_put(scene.key("b"), ""),
    );
    invalid(
        &client,
        ask::all_of(vec![first, second.clone(), second]),
        DUPLICATE,
    )
    .await?;
    let answer = client.range(ask::list(&scene.prefix())).await?;
    expect::same(
        "keys and revision",
        (answer.count, expect::revision(answer.header.as_ref())?),
        (0, before),
    )
}
