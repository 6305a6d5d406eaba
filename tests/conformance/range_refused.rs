//! KV.Range: what is refused, with which code and which words.

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::RangeRequest;
use meridian_tests::{ask, cases, expect, suite::Scene, target::Wish};
use tonic::Code;

cases!("range_refused";
    Alone: an_empty_key, a_future_revision, an_unknown_sort_order;
    Own: an_unknown_sort_target, an_unknown_sort_target_inside_a_txn;
);

async fn an_empty_key(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let text = "etcdserver: key is not provided";
    for serializable in [false, true] {
        let request = RangeRequest {
            serializable,
            ..ask::get("")
        };
        expect::refused(client.range(request).await, Code::InvalidArgument, text)?;
        let request = RangeRequest {
            serializable,
            range_end: "z".into(),
            ..ask::get("")
        };
        expect::refused(client.range(request).await, Code::InvalidArgument, text)?;
    }
    Ok(())
}

async fn a_future_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let now = expect::revision(
        client
            .put(ask::put(scene.key("k"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    let text = "etcdserver: mvcc: required revision is a future revision";
    for revision in [now + 1, i64::MAX] {
        for serializable in [false, true] {
            let request = RangeRequest {
                revision,
                serializable,
                ..ask::get(scene.key("k"))
            };
            expect::refused(client.range(request).await, Code::OutOfRange, text)?;
            let request = RangeRequest {
                revision,
                serializable,
                count_only: true,
                ..ask::get(scene.key("k"))
            };
            expect::refused(client.range(request).await, Code::OutOfRange, text)?;
        }
    }
    Ok(())
}

async fn an_unknown_sort_order(scene: Scene) -> Result<()> {
    let request = RangeRequest {
        sort_order: 9,
        ..ask::list(&scene.prefix())
    };
    let text = "etcdserver: invalid sort option";
    expect::refused(
        scene.client()?.range(request).await,
        Code::InvalidArgument,
        text,
    )
}

// On a target of their own, because 3.4.23 does not live through them.

async fn an_unknown_sort_target(scene: Scene) -> Result<()> {
    let target = scene.fresh(&Wish::default()).await?;
    let request = RangeRequest {
        sort_target: 9,
        ..ask::list(&scene.prefix())
    };
    let text = "etcdserver: invalid sort option";
    expect::refused(
        target.connect()?.range(request).await,
        Code::InvalidArgument,
        text,
    )
}

async fn an_unknown_sort_target_inside_a_txn(scene: Scene) -> Result<()> {
    let target = scene.fresh(&Wish::default()).await?;
    let read = ask::op_range(RangeRequest {
        sort_target: 9,
        ..ask::list(&scene.prefix())
    });
    let text = "etcdserver: invalid sort option";
    for txn in [
        vec![read.clone()],
        vec![ask::op_put(scene.key("k"), ""), read],
    ] {
        expect::refused(
            target.connect()?.txn(ask::all_of(txn)).await,
            Code::InvalidArgument,
            text,
        )?;
    }
    Ok(())
}
