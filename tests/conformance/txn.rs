//! KV.Txn: branches, order of operations, nesting, revisions, what answers look like.

use anyhow::{Context, Result};
use meridian_etcd_api::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseOp, TxnRequest, TxnResponse,
    response_op::Response,
};
use meridian_tests::{ask, cases, client::Client, expect, suite::Scene};

cases!("txn";
    Alone: the_branch_follows_the_conditions, all_of_it_is_one_revision, a_txn_without_change_uses_no_revision,
        an_empty_txn_succeeds, operations_see_those_before_them, answers_come_in_the_order_of_operations,
        every_answer_inside_has_a_header, a_txn_inside_a_txn_chooses_for_itself, both_branches_may_put_one_key,
        a_hundred_and_twenty_eight_operations_are_allowed, nesting_lifts_the_limit,
        a_delete_that_finds_nothing_uses_no_revision, a_read_may_look_back, a_read_only_txn_can_be_serializable,
        prev_kv_inside,
);

async fn now(client: &Client) -> Result<i64> {
    expect::revision(client.range(ask::get("now")).await?.header.as_ref())
}

fn revision(answer: &TxnResponse) -> Result<i64> {
    expect::revision(answer.header.as_ref())
}

async fn the_branch_follows_the_conditions(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let txn = |mod_revision| {
        let (yes, no) = (
            ask::op_put(scene.key("yes"), ""),
            ask::op_put(scene.key("no"), ""),
        );
        ask::when(
            vec![ask::unchanged_since(scene.key("k"), mod_revision)],
            vec![yes],
            vec![no],
        )
    };
    expect::same("succeeded", client.txn(txn(0)).await?.succeeded, true)?;
    let found = |key| client.range(ask::get(scene.key(key)));
    expect::same(
        "written",
        (found("yes").await?.count, found("no").await?.count),
        (1, 0),
    )?;
    expect::same("succeeded", client.txn(txn(1)).await?.succeeded, false)?;
    expect::same("written", found("no").await?.count, 1)
}

async fn all_of_it_is_one_revision(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let before = now(&client).await?;
    let txn = ask::all_of(vec![
        ask::op_put(scene.key("x"), "1"),
        ask::op_delete(ask::delete(scene.key("a"))),
        ask::op_put(scene.key("y"), "2"),
    ]);
    let answer = client.txn(txn).await?;
    expect::same("revision", revision(&answer)?, before + 1)?;
    let kvs = client.range(ask::list(&scene.key(""))).await?.kvs;
    let changed: Vec<_> = kvs
        .iter()
        .filter(|kv| kv.mod_revision == before + 1)
        .map(|kv| kv.key.clone())
        .collect();
    expect::same("changed", changed, super::range::keys(&scene, &["x", "y"]))
}

async fn a_txn_without_change_uses_no_revision(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let before = now(&client).await?;
    let reading = ask::all_of(vec![ask::op_range(ask::get(scene.key("a")))]);
    expect::same(
        "revision of a read",
        revision(&client.txn(reading).await?)?,
        before,
    )?;
    let put = ask::op_put(scene.key("a"), "");
    let failing = ask::when(
        vec![ask::unchanged_since(scene.key("a"), 1)],
        vec![put],
        vec![],
    );
    let answer = client.txn(failing).await?;
    expect::same(
        "refused",
        (answer.succeeded, revision(&answer)?),
        (false, before),
    )?;
    expect::same("revision after", now(&client).await?, before)
}

async fn an_empty_txn_succeeds(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let before = now(&client).await?;
    let answer = client.txn(TxnRequest::default()).await?;
    expect::same(
        "answer",
        (answer.succeeded, answer.responses.len(), revision(&answer)?),
        (true, 0, before),
    )
}

async fn operations_see_those_before_them(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "old")).await?;
    let txn = ask::all_of(vec![
        ask::op_range(ask::get(scene.key("k"))),
        ask::op_put(scene.key("k"), "new"),
        ask::op_range(ask::get(scene.key("k"))),
    ]);
    let answer = client.txn(txn).await?;
    expect::same(
        "first read",
        &range(&answer.responses[0])?.kvs[0].value[..],
        &b"old"[..],
    )?;
    let second = &range(&answer.responses[2])?.kvs[0];
    expect::same(
        "second read",
        (&second.value[..], second.mod_revision),
        (&b"new"[..], revision(&answer)?),
    )
}

fn range(op: &ResponseOp) -> Result<&meridian_etcd_api::etcdserverpb::RangeResponse> {
    match op.response.as_ref().context("an empty answer")? {
        Response::ResponseRange(range) => Ok(range),
        other => anyhow::bail!("not a range: {other:?}"),
    }
}

async fn answers_come_in_the_order_of_operations(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let txn = ask::all_of(vec![
        ask::op_delete(ask::delete(scene.key("a"))),
        ask::op_txn(TxnRequest::default()),
        ask::op_range(ask::get(scene.key("b"))),
        ask::op_put(scene.key("z"), ""),
    ]);
    let kinds = client
        .txn(txn)
        .await?
        .responses
        .into_iter()
        .map(|op| match op.response {
            Some(Response::ResponseRange(_)) => "range",
            Some(Response::ResponsePut(_)) => "put",
            Some(Response::ResponseDeleteRange(_)) => "delete",
            Some(Response::ResponseTxn(_)) => "txn",
            None => "nothing",
        });
    expect::same(
        "answers",
        kinds.collect::<Vec<_>>(),
        ["delete", "txn", "range", "put"],
    )
}

async fn every_answer_inside_has_a_header(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let txn = ask::all_of(vec![
        ask::op_range(ask::get(scene.key("b"))),
        ask::op_put(scene.key("z"), ""),
        ask::op_delete(ask::delete(scene.key("a"))),
        ask::op_range(ask::get(scene.key("b"))),
        ask::op_txn(ask::all_of(vec![ask::op_put(scene.key("y"), "")])),
    ]);
    let answer = client.txn(txn).await?;
    let at = revision(&answer)?;
    let inside = answer.responses.iter().map(|op| {
        let header = match op.response.as_ref()? {
            Response::ResponseRange(range) => range.header.as_ref(),
            Response::ResponsePut(put) => put.header.as_ref(),
            Response::ResponseDeleteRange(delete) => delete.header.as_ref(),
            Response::ResponseTxn(txn) => txn.header.as_ref(),
        }?;
        // Only the revision is filled inside: who answered is said once, outside.
        Some((header.cluster_id, header.revision - at))
    });
    let expected = [
        Some((0, -1)),
        Some((0, 0)),
        Some((0, 0)),
        Some((0, 0)),
        Some((0, -at)),
    ];
    expect::same(
        "cluster and revision, counted from the Txn's",
        inside.collect::<Vec<_>>(),
        expected,
    )
}

async fn a_txn_inside_a_txn_chooses_for_itself(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let inner = ask::when(
        vec![ask::unchanged_since(scene.key("k"), 0)],
        vec![ask::op_put(scene.key("inner yes"), "")],
        vec![ask::op_put(scene.key("inner no"), "")],
    );
    let outer = ask::all_of(vec![ask::op_put(scene.key("k"), ""), ask::op_txn(inner)]);
    let answer = client.txn(outer).await?;
    expect::same("outer", answer.succeeded, true)?;
    // All conditions, inner ones too, are looked at before anything is done.
    match &answer.responses[1].response {
        Some(Response::ResponseTxn(inner)) => expect::same("inner", inner.succeeded, true)?,
        other => anyhow::bail!("not a txn: {other:?}"),
    }
    expect::same(
        "inner yes",
        client.range(ask::get(scene.key("inner yes"))).await?.count,
        1,
    )
}

async fn both_branches_may_put_one_key(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let put = || vec![ask::op_put(scene.key("k"), "")];
    let inner = ask::when(vec![], put(), put());
    expect::same(
        "outer",
        client.txn(ask::when(vec![], put(), put())).await?.succeeded,
        true,
    )?;
    expect::same(
        "inner",
        client
            .txn(ask::all_of(vec![ask::op_txn(inner)]))
            .await?
            .succeeded,
        true,
    )
}

fn puts(scene: &Scene, from: usize, n: usize) -> Vec<RequestOp> {
    (from..from + n)
        .map(|n| ask::op_put(scene.key(&format!("{n:05}")), ""))
        .collect()
}

async fn a_hundred_and_twenty_eight_operations_are_allowed(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let answer = client.txn(ask::all_of(puts(&scene, 0, 128))).await?;
    expect::same("answers", answer.responses.len(), 128)
}

async fn nesting_lifts_the_limit(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let before = now(&client).await?;
    let inner = (0..64)
        .map(|n| ask::op_txn(ask::all_of(puts(&scene, n * 64, 64))))
        .collect();
    let answer = client.txn(ask::all_of(inner)).await?;
    expect::same("revision", revision(&answer)?, before + 1)?;
    let count = RangeRequest {
        count_only: true,
        min_mod_revision: 0,
        ..ask::list(&scene.prefix())
    };
    expect::same("keys", client.range(count).await?.count, 64 * 64)
}

async fn a_delete_that_finds_nothing_uses_no_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let before = now(&client).await?;
    let answer = client
        .txn(ask::all_of(vec![ask::op_delete(ask::delete(
            scene.key("missing"),
        ))]))
        .await?;
    expect::same("revision", revision(&answer)?, before)
}

async fn a_read_may_look_back(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "old")).await?;
    let then = now(&client).await?;
    client.put(ask::put(scene.key("k"), "new")).await?;
    let back = RangeRequest {
        revision: then,
        ..ask::get(scene.key("k"))
    };
    let reading = client
        .txn(ask::all_of(vec![ask::op_range(back.clone())]))
        .await?;
    expect::same(
        "in a read",
        &range(&reading.responses[0])?.kvs[0].value[..],
        &b"old"[..],
    )?;
    let writing = ask::all_of(vec![
        ask::op_put(scene.key("other"), ""),
        ask::op_range(back),
    ]);
    expect::same(
        "beside a write",
        &range(&client.txn(writing).await?.responses[1])?.kvs[0].value[..],
        &b"old"[..],
    )
}

async fn a_read_only_txn_can_be_serializable(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    client.range(ask::get(scene.key("a"))).await?;
    let reads = ["a", "b"].map(|key| {
        ask::op_range(RangeRequest {
            serializable: true,
            ..ask::get(scene.key(key))
        })
    });
    let answer = client.txn(ask::all_of(reads.to_vec())).await?;
    expect::same("count", range(&answer.responses[1])?.count, 1)
}

async fn prev_kv_inside(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let before = client.range(ask::list(&scene.prefix())).await?.kvs;
    let put = PutRequest {
        prev_kv: true,
        ..ask::put(scene.key("a"), "new")
    };
    let delete = DeleteRangeRequest {
        prev_kv: true,
        ..ask::delete(scene.key("b"))
    };
    let answer = client
        .txn(ask::all_of(vec![
            ask::op_put_as(put),
            ask::op_delete(delete),
        ]))
        .await?;
    match (&answer.responses[0].response, &answer.responses[1].response) {
        (Some(Response::ResponsePut(put)), Some(Response::ResponseDeleteRange(delete))) => {
            expect::same("put's", put.prev_kv.as_ref(), Some(&before[0]))?;
            expect::same("delete's", &delete.prev_kvs[..], &before[1..2])
        }
        other => anyhow::bail!("not a put and a delete: {other:?}"),
    }
}
