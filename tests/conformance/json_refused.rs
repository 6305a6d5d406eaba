//! The JSON form of the calls: what is refused, with which status and which object.

use anyhow::{Result, ensure};
use http::StatusCode;
use meridian_tests::{cases, expect, plain_http, suite::Scene};
use serde_json::{Value, json};

use super::json::{b64, ok, post};

cases!("json_refused";
    Alone: errors_are_objects, an_empty_body_is_an_empty_message, broken_json_is_refused, broken_base64_is_refused,
        a_number_that_is_none_is_refused, compaction_and_its_error, a_bad_txn_is_refused_with_a_body;
    Shared: get_is_not_allowed, a_failed_precondition_is_bad_request, an_unknown_route_is_not_found;
);

/// Refused with this status, code and text, whatever else the object holds.
pub(crate) fn is_error(
    answer: (StatusCode, Value),
    status: StatusCode,
    code: i64,
    message: &str,
) -> Result<()> {
    expect::same("status", answer.0, status)?;
    expect::same("code", &answer.1["code"], &json!(code))?;
    expect::same("message", &answer.1["message"], &json!(message))
}

async fn errors_are_objects(scene: Scene) -> Result<()> {
    let bad = StatusCode::BAD_REQUEST;
    let empty = post(&scene, "/v3/kv/range", json!({})).await?;
    is_error(empty, bad, 3, "etcdserver: key is not provided")?;
    let future = post(
        &scene,
        "/v3/kv/range",
        json!({"key": b64("k"), "revision": "999999999"}),
    )
    .await?;
    is_error(
        future,
        bad,
        11,
        "etcdserver: mvcc: required revision is a future revision",
    )?;
    let lease = post(
        &scene,
        "/v3/kv/put",
        json!({"key": b64("k"), "lease": "99"}),
    )
    .await?;
    is_error(
        lease,
        StatusCode::NOT_FOUND,
        5,
        "etcdserver: requested lease not found",
    )
}

async fn a_bad_txn_is_refused_with_a_body(scene: Scene) -> Result<()> {
    let put = json!({"request_put": {"key": b64(scene.key("k"))}});
    let answer = post(&scene, "/v3/kv/txn", json!({"success": [put, put]})).await?;
    is_error(
        answer,
        StatusCode::BAD_REQUEST,
        3,
        "etcdserver: duplicate key given in txn request",
    )
}

async fn a_failed_precondition_is_bad_request(scene: Scene) -> Result<()> {
    ok(
        &scene,
        "/v3/lease/grant",
        json!({"TTL": "100", "ID": "7654322"}),
    )
    .await?;
    let again = post(
        &scene,
        "/v3/lease/grant",
        json!({"TTL": "100", "ID": "7654322"}),
    )
    .await?;
    is_error(
        again,
        StatusCode::BAD_REQUEST,
        9,
        "etcdserver: lease already exists",
    )
}

async fn compaction_and_its_error(scene: Scene) -> Result<()> {
    let put = ok(&scene, "/v3/kv/put", json!({"key": b64(scene.key("k"))})).await?;
    let revision = &put["header"]["revision"];
    ok(&scene, "/v3/kv/compaction", json!({"revision": revision})).await?;
    let again = post(&scene, "/v3/kv/compaction", json!({"revision": revision})).await?;
    is_error(
        again,
        StatusCode::BAD_REQUEST,
        11,
        "etcdserver: mvcc: required revision has been compacted",
    )
}

async fn an_empty_body_is_an_empty_message(scene: Scene) -> Result<()> {
    let answer = plain_http::post(scene.target()?.address(), "/v3/kv/range", "").await?;
    is_error(
        (answer.status, answer.json()?),
        StatusCode::BAD_REQUEST,
        3,
        "etcdserver: key is not provided",
    )
}

/// The words are the JSON library's own; that it is a refusal, and whose fault, is the contract.
async fn is_bad_request(scene: &Scene, body: &'static str) -> Result<()> {
    let answer = plain_http::post(scene.target()?.address(), "/v3/kv/range", body).await?;
    let json = answer.json()?;
    expect::same(
        body,
        (answer.status, &json["code"]),
        (StatusCode::BAD_REQUEST, &json!(3)),
    )?;
    ensure!(
        json["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "no message: {json}"
    );
    Ok(())
}

async fn broken_json_is_refused(scene: Scene) -> Result<()> {
    for body in [
        "{\"key\":",
        "[]",
        "{\"key\" \"Zm9v\"}",
        "nonsense",
        "{\"key\":\"Zm9v\"",
        "5",
    ] {
        is_bad_request(&scene, body).await?;
    }
    ok(&scene, "/v3/kv/range", json!({"key": b64("k")}))
        .await
        .map(drop)
}

async fn broken_base64_is_refused(scene: Scene) -> Result<()> {
    for body in [
        r#"{"key":"!!"}"#,
        r#"{"key":5}"#,
        r#"{"key":{}}"#,
        r#"{"key":true}"#,
    ] {
        is_bad_request(&scene, body).await?;
    }
    Ok(())
}

async fn a_number_that_is_none_is_refused(scene: Scene) -> Result<()> {
    for body in [
        r#"{"key":"Zm9v","limit":"x"}"#,
        r#"{"key":"Zm9v","limit":1.5}"#,
        r#"{"key":"Zm9v","limit":"99999999999999999999"}"#,
        r#"{"key":"Zm9v","serializable":"maybe"}"#,
    ] {
        is_bad_request(&scene, body).await?;
    }
    Ok(())
}

async fn get_is_not_allowed(scene: Scene) -> Result<()> {
    let answer = plain_http::get(scene.target()?.address(), "/v3/kv/range").await?;
    is_error(
        (answer.status, answer.json()?),
        StatusCode::NOT_IMPLEMENTED,
        12,
        "Method Not Allowed",
    )
}

async fn an_unknown_route_is_not_found(scene: Scene) -> Result<()> {
    let answer = post(&scene, "/v3/nothing", json!({})).await?;
    is_error(answer, StatusCode::NOT_FOUND, 5, "Not Found")
}
