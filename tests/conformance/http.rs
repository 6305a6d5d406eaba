//! HTTP/1.1 beside gRPC on one port: streams as lines, `/version`, `/health`, locks and elections.

use anyhow::{Result, ensure};
use http::{Method, StatusCode};
use meridian_tests::{ask, cases, expect, plain_http, plain_http::Lines, suite::Scene};
use serde_json::{Value, json};

use super::json::b64;

cases!("http";
    Alone: version_names_server_and_cluster, health_says_true, other_methods_are_not_allowed_on_version,
        an_unknown_path_is_not_found, a_watch_comes_in_lines, a_refused_watch_is_a_line,
        a_keepalive_is_a_line, locks_and_elections, one_connection_serves_many_calls;
    Shared: readiness_probes_are_served;
);

async fn version_names_server_and_cluster(scene: Scene) -> Result<()> {
    let answer = plain_http::get(scene.target()?.address(), "/version").await?;
    expect::same("status", answer.status, StatusCode::OK)?;
    let json = answer.json()?;
    let status = scene.client()?.status(Default::default()).await?;
    expect::same("server", &json["etcdserver"], &json!(status.version))?;
    ensure!(
        json["etcdcluster"]
            .as_str()
            .is_some_and(|version| version.ends_with(".0")),
        "{json}"
    );
    Ok(())
}

async fn health_says_true(scene: Scene) -> Result<()> {
    for path in [
        "/health",
        "/health?serializable=true",
        "/health?exclude=NOSPACE",
    ] {
        let answer = plain_http::get(scene.target()?.address(), path).await?;
        expect::same(
            path,
            (answer.status, &answer.json()?["health"]),
            (StatusCode::OK, &json!("true")),
        )?;
    }
    Ok(())
}

async fn other_methods_are_not_allowed_on_version(scene: Scene) -> Result<()> {
    let address = scene.target()?.address();
    let request = plain_http::request(address, Method::PUT, "/version", Default::default())?;
    expect::same(
        "status",
        plain_http::call(address, request).await?.status,
        StatusCode::METHOD_NOT_ALLOWED,
    )
}

async fn an_unknown_path_is_not_found(scene: Scene) -> Result<()> {
    let answer = plain_http::get(scene.target()?.address(), "/nothing").await?;
    expect::same("status", answer.status, StatusCode::NOT_FOUND)
}

async fn readiness_probes_are_served(scene: Scene) -> Result<()> {
    for path in ["/livez", "/readyz"] {
        let answer = plain_http::get(scene.target()?.address(), path).await?;
        expect::same(
            path,
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &b"ok\n"[..]),
        )?;
    }
    Ok(())
}

async fn watch(scene: &Scene, create: Value) -> Result<Lines> {
    let body = json!({ "create_request": create }).to_string();
    Lines::post(scene.target()?.address(), "/v3/watch", &body).await
}

async fn a_watch_comes_in_lines(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let start = expect::revision(
        client
            .put(ask::put(scene.key("k"), "1"))
            .await?
            .header
            .as_ref(),
    )?;
    let create =
        json!({"key": b64(scene.key("k")), "start_revision": start.to_string(), "prev_kv": true});
    let mut lines = watch(&scene, create).await?;
    expect::same("status", lines.status, StatusCode::OK)?;
    let created = lines.next().await?;
    expect::same("created", &created["result"]["created"], &json!(true))?;
    ensure!(
        created["result"].get("watch_id").is_none(),
        "zeroes are left out: {created}"
    );
    expect::same(
        "past",
        &lines.next().await?["result"]["events"][0]["kv"]["value"],
        &json!(b64("1")),
    )?;
    client.put(ask::put(scene.key("k"), "2")).await?;
    let event = &lines.next().await?["result"]["events"][0];
    expect::same("prev_kv", &event["prev_kv"]["value"], &json!(b64("1")))?;
    ensure!(event.get("type").is_none(), "PUT is a zero: {event}");
    client.delete(ask::delete(scene.key("k"))).await?;
    let event = &lines.next().await?["result"]["events"][0];
    expect::same("type", &event["type"], &json!("DELETE"))
}

async fn a_refused_watch_is_a_line(scene: Scene) -> Result<()> {
    let create = json!({"key": b64(scene.key("b")), "range_end": b64(scene.key("a"))});
    let line = watch(&scene, create).await?.next().await?;
    let result = &line["result"];
    let shape = (
        &result["watch_id"],
        &result["created"],
        &result["canceled"],
        &result["cancel_reason"],
    );
    let reason = json!("mvcc: watcher range is empty");
    expect::same(
        "line",
        shape,
        (&json!("-1"), &json!(true), &json!(true), &reason),
    )
}

async fn a_keepalive_is_a_line(scene: Scene) -> Result<()> {
    let id = scene.client()?.lease_grant(ask::lease(100)).await?.id;
    let body = json!({"ID": id.to_string()}).to_string();
    let mut lines = Lines::post(scene.target()?.address(), "/v3/lease/keepalive", &body).await?;
    let line = lines.next().await?;
    let found = (&line["result"]["ID"], &line["result"]["TTL"]);
    expect::same("line", found, (&json!(id.to_string()), &json!("100")))?;
    // The body was one message: with it the stream is half-closed, and ends.
    let end = lines.next().await.err().map(|error| error.to_string());
    expect::same("end", end.as_deref(), Some("the answer ended"))
}

async fn locks_and_elections(scene: Scene) -> Result<()> {
    let address = scene.target()?.address();
    let lease = scene
        .client()?
        .lease_grant(ask::lease(100))
        .await?
        .id
        .to_string();
    let call = |path: &'static str, body: Value| async move {
        let answer = plain_http::post(address, path, body.to_string()).await?;
        ensure!(
            answer.status == StatusCode::OK,
            "{path}: {} {:?}",
            answer.status,
            answer.body
        );
        answer.json()
    };
    let lock = call(
        "/v3/lock/lock",
        json!({"name": b64(scene.key("lock")), "lease": lease}),
    )
    .await?;
    call("/v3/lock/unlock", json!({"key": lock["key"]})).await?;
    let office = b64(scene.key("office"));
    let elected = call(
        "/v3/election/campaign",
        json!({"name": office, "lease": lease, "value": b64("me")}),
    )
    .await?;
    let leader = call("/v3/election/leader", json!({"name": office})).await?;
    expect::same("leader", &leader["kv"]["value"], &json!(b64("me")))?;
    call(
        "/v3/election/proclaim",
        json!({"leader": elected["leader"], "value": b64("still me")}),
    )
    .await?;
    call("/v3/election/resign", json!({"leader": elected["leader"]}))
        .await
        .map(drop)
}

async fn one_connection_serves_many_calls(scene: Scene) -> Result<()> {
    use http_body_util::BodyExt;
    let address = scene.target()?.address();
    let socket = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(socket)).await?;
    let connection = tokio::spawn(connection);
    for path in ["/version", "/health", "/nothing", "/version"] {
        let response = sender
            .send_request(plain_http::request(
                address,
                Method::GET,
                path,
                Default::default(),
            )?)
            .await?;
        response.into_body().collect().await?;
        sender.ready().await?;
    }
    connection.abort();
    Ok(())
}
