//! The JSON form of the calls: bytes as base64, 64-bit numbers as strings, errors as objects.

use anyhow::{Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;
use meridian_tests::{cases, expect, plain_http, suite::Scene};
use serde_json::{Value, json};

use super::json_refused::is_error;

cases!("json";
    Alone: put_and_range, zeroes_are_left_out, numbers_may_come_as_numbers, fields_may_come_in_camel_case,
        a_txn_with_all_kinds, leases, enums_come_by_name_and_number, unknown_fields_are_skipped,
        the_old_prefix_is_served, cluster_and_status,
        headers_carry_no_zero_cluster;
    Shared: url_safe_base64_is_taken, base64_without_padding_is_taken, an_unknown_enum_name;
);

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) async fn post(scene: &Scene, path: &str, body: Value) -> Result<(StatusCode, Value)> {
    let answer = plain_http::post(scene.target()?.address(), path, body.to_string()).await?;
    Ok((answer.status, answer.json()?))
}

pub(crate) async fn ok(scene: &Scene, path: &str, body: Value) -> Result<Value> {
    let (status, answer) = post(scene, path, body).await?;
    ensure!(status == StatusCode::OK, "{path}: {status} {answer}");
    Ok(answer)
}

async fn put_and_range(scene: Scene) -> Result<()> {
    let key = b64(scene.key("k"));
    let put = ok(
        &scene,
        "/v3/kv/put",
        json!({"key": key, "value": b64("bar")}),
    )
    .await?;
    let revision = put["header"]["revision"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(
        revision.parse::<i64>().is_ok(),
        "a revision is a string of digits: {put}"
    );
    let range = ok(&scene, "/v3/kv/range", json!({"key": key})).await?;
    let kv = json!({"key": key, "create_revision": revision, "mod_revision": revision, "version": "1",
        "value": b64("bar")});
    expect::same("kvs", &range["kvs"], &json!([kv]))?;
    expect::same("count", &range["count"], &json!("1"))?;
    let deleted = ok(
        &scene,
        "/v3/kv/deleterange",
        json!({"key": key, "prev_kv": true}),
    )
    .await?;
    expect::same("deleted", &deleted["deleted"], &json!("1"))?;
    expect::same("prev_kvs", &deleted["prev_kvs"], &json!([kv]))
}

async fn zeroes_are_left_out(scene: Scene) -> Result<()> {
    let answer = ok(
        &scene,
        "/v3/kv/range",
        json!({"key": b64(scene.key("missing"))}),
    )
    .await?;
    let fields: Vec<&String> = answer
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys())
        .collect();
    expect::same("fields", fields, ["header"])
}

async fn headers_carry_no_zero_cluster(scene: Scene) -> Result<()> {
    let answer = ok(&scene, "/v3/kv/range", json!({"key": b64("k")})).await?;
    for field in ["cluster_id", "member_id", "revision", "raft_term"] {
        let text = answer["header"][field].as_str().unwrap_or_default();
        ensure!(
            text.parse::<u64>().is_ok_and(|number| number > 0),
            "{field}: {answer}"
        );
    }
    Ok(())
}

async fn numbers_may_come_as_numbers(scene: Scene) -> Result<()> {
    let key = b64(scene.key("k"));
    ok(&scene, "/v3/kv/put", json!({"key": key})).await?;
    for limit in [json!(1), json!("1")] {
        let body = json!({"key": key, "limit": limit});
        expect::same(
            "count",
            &ok(&scene, "/v3/kv/range", body).await?["count"],
            &json!("1"),
        )?;
    }
    Ok(())
}

async fn fields_may_come_in_camel_case(scene: Scene) -> Result<()> {
    let (key, end) = (b64(scene.key("a")), b64(scene.key("z")));
    ok(&scene, "/v3/kv/put", json!({"key": key})).await?;
    let snake = ok(
        &scene,
        "/v3/kv/range",
        json!({"key": key, "range_end": end, "count_only": true}),
    )
    .await?;
    let camel = ok(
        &scene,
        "/v3/kv/range",
        json!({"key": key, "rangeEnd": end, "countOnly": true}),
    )
    .await?;
    expect::same("answer", camel, snake)
}

async fn a_txn_with_all_kinds(scene: Scene) -> Result<()> {
    let key = |name: &str| b64(scene.key(name));
    ok(
        &scene,
        "/v3/kv/put",
        json!({"key": key("old"), "value": b64("1")}),
    )
    .await?;
    let body = json!({
        "compare": [{"key": key("old"), "target": "VERSION", "result": "GREATER", "version": "0"},
            {"key": key("old"), "target": "VALUE", "result": "EQUAL", "value": b64("1")}],
        "success": [{"request_put": {"key": key("new"), "value": b64("2")}},
            {"request_delete_range": {"key": key("old")}},
            {"request_range": {"key": key("new")}},
            {"request_txn": {"success": [{"requestRange": {"key": key("old")}}]}}],
        "failure": [],
    });
    let answer = ok(&scene, "/v3/kv/txn", body).await?;
    expect::same("succeeded", &answer["succeeded"], &json!(true))?;
    let responses = &answer["responses"];
    expect::same(
        "deleted",
        &responses[1]["response_delete_range"]["deleted"],
        &json!("1"),
    )?;
    expect::same(
        "read",
        &responses[2]["response_range"]["kvs"][0]["value"],
        &json!(b64("2")),
    )?;
    expect::same(
        "nested",
        &responses[3]["response_txn"]["succeeded"],
        &json!(true),
    )
}

async fn leases(scene: Scene) -> Result<()> {
    let granted = ok(
        &scene,
        "/v3/lease/grant",
        json!({"TTL": "100", "ID": 7_654_321}),
    )
    .await?;
    expect::same(
        "granted",
        (&granted["ID"], &granted["TTL"]),
        (&json!("7654321"), &json!("100")),
    )?;
    let key = b64(scene.key("k"));
    ok(
        &scene,
        "/v3/kv/put",
        json!({"key": key, "lease": "7654321"}),
    )
    .await?;
    for path in ["/v3/lease/timetolive", "/v3/kv/lease/timetolive"] {
        let found = ok(&scene, path, json!({"ID": "7654321", "keys": true})).await?;
        let shape = (&found["ID"], &found["grantedTTL"], &found["keys"]);
        expect::same(
            "found",
            shape,
            (&json!("7654321"), &json!("100"), &json!([key])),
        )?;
    }
    for path in ["/v3/lease/leases", "/v3/kv/lease/leases"] {
        let listed = ok(&scene, path, json!({})).await?;
        let has = listed["leases"]
            .as_array()
            .is_some_and(|leases| leases.contains(&json!({"ID": "7654321"})));
        ensure!(has, "{listed}");
    }
    ok(&scene, "/v3/lease/revoke", json!({"ID": "7654321"})).await?;
    let again = post(&scene, "/v3/kv/lease/revoke", json!({"ID": "7654321"})).await?;
    is_error(
        again,
        StatusCode::NOT_FOUND,
        5,
        "etcdserver: requested lease not found",
    )
}

async fn enums_come_by_name_and_number(scene: Scene) -> Result<()> {
    for name in ["a", "b"] {
        ok(
            &scene,
            "/v3/kv/put",
            json!({"key": b64(scene.key(name)), "value": b64(name)}),
        )
        .await?;
    }
    for (order, target) in [(json!("DESCEND"), json!("KEY")), (json!(2), json!(0))] {
        let body = json!({"key": b64(scene.key("a")), "range_end": b64(scene.key("c")), "sort_order": order,
            "sort_target": target});
        let answer = ok(&scene, "/v3/kv/range", body).await?;
        expect::same("first", &answer["kvs"][0]["value"], &json!(b64("b")))?;
    }
    Ok(())
}

async fn unknown_fields_are_skipped(scene: Scene) -> Result<()> {
    let body = json!({"key": b64(scene.key("k")), "nobody": {"knows": ["this", 1, null]}});
    ok(&scene, "/v3/kv/put", body).await.map(drop)
}

async fn url_safe_base64_is_taken(scene: Scene) -> Result<()> {
    let mut key = scene.prefix().to_vec();
    key.resize(key.len().next_multiple_of(3), b'/');
    key.extend(b"\xfb\xff\xfe");
    let safe = b64(&key).replace('+', "-").replace('/', "_");
    ensure!(
        safe.contains('-') || safe.contains('_'),
        "not a test: {safe}"
    );
    ok(&scene, "/v3/kv/put", json!({"key": safe})).await?;
    expect::same(
        "count",
        &ok(&scene, "/v3/kv/range", json!({"key": b64(&key)})).await?["count"],
        &json!("1"),
    )
}

async fn base64_without_padding_is_taken(scene: Scene) -> Result<()> {
    ok(&scene, "/v3/kv/range", json!({"key": "Zm8"}))
        .await
        .map(drop)
}

async fn an_unknown_enum_name(scene: Scene) -> Result<()> {
    // Known fields with unknown names for values are left out, as unknown fields are.
    let body = json!({"key": b64(scene.key("k")), "sort_order": "SIDEWAYS"});
    ok(&scene, "/v3/kv/range", body).await.map(drop)
}

async fn the_old_prefix_is_served(scene: Scene) -> Result<()> {
    ok(&scene, "/v3beta/kv/range", json!({"key": b64("k")}))
        .await
        .map(drop)
}

async fn cluster_and_status(scene: Scene) -> Result<()> {
    let members = ok(&scene, "/v3/cluster/member/list", json!({})).await?;
    ensure!(
        members["members"][0]["clientURLs"][0].is_string(),
        "{members}"
    );
    ensure!(
        members["header"].get("revision").is_none(),
        "a revision of a member list: {members}"
    );
    let status = ok(&scene, "/v3/maintenance/status", json!({})).await?;
    ensure!(
        status["version"].is_string() && status["dbSize"].is_string(),
        "{status}"
    );
    Ok(())
}
