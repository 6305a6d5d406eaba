//! Authentication: nothing may be read, watched or written that etcd would not allow.

use anyhow::{Result, ensure};
use meridian_etcd_api::{
    authpb::{Permission, permission},
    etcdserverpb::{
        AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleGrantPermissionRequest,
        AuthStatusRequest, AuthUserAddRequest, AuthUserGetRequest, AuthUserGrantRoleRequest,
        AuthUserListRequest, AuthenticateRequest, RangeRequest,
    },
};
use meridian_tests::{
    ask, cases,
    client::Client,
    expect, plain_http,
    suite::Scene,
    target::{Target, Wish},
    wait,
    watching::{self, Watching},
};
use tonic::{Code, Status};

use super::json::b64;

cases!("auth";
    Own: without_a_token_nothing_is_told, a_token_opens_what_its_roles_open, watches_are_checked_when_created,
        enabled_at_the_home_is_enabled_here, disabled_again_all_is_open, json_calls_carry_tokens;
    Shared: disabled_is_the_beginning, enabling_without_root_is_refused, the_status_says_disabled;
);

const NO_USER: &str = "etcdserver: user name is empty";
const DENIED: &str = "etcdserver: permission denied";
const BAD_TOKEN: &str = "etcdserver: invalid auth token";

async fn add_user(client: &Client, name: &str, role: &str) -> Result<(), Status> {
    let (name, password) = (name.to_owned(), format!("{name}-secret"));
    client
        .user_add(AuthUserAddRequest {
            name: name.clone(),
            password,
            ..Default::default()
        })
        .await?;
    client
        .user_grant_role(AuthUserGrantRoleRequest {
            user: name,
            role: role.to_owned(),
        })
        .await?;
    Ok(())
}

/// Root, and `eve` who may read and write below `open/`.
async fn prepare(client: &Client) -> Result<(), Status> {
    client.put(ask::put("secret/k", "s3cr3t")).await?;
    client.put(ask::put("open/k", "open")).await?;
    for name in ["root", "visitor"] {
        client
            .role_add(AuthRoleAddRequest {
                name: name.to_owned(),
            })
            .await?;
    }
    let (key, range_end) = ("open/".into(), watching::prefix_end(b"open/"));
    let perm = Some(Permission {
        perm_type: permission::Type::Readwrite.into(),
        key,
        range_end,
    });
    let grant = AuthRoleGrantPermissionRequest {
        name: "visitor".to_owned(),
        perm,
    };
    client.role_grant_permission(grant).await?;
    add_user(client, "root", "root").await?;
    add_user(client, "eve", "visitor").await
}

/// A target whose home has authentication enabled, through the target itself.
async fn enabled(scene: &Scene) -> Result<Target> {
    let target = scene.fresh(&Wish::default()).await?;
    let client = target.connect()?;
    prepare(&client).await?;
    // Read as a careless cache would like it.
    for serializable in [false, true] {
        client
            .range(RangeRequest {
                serializable,
                ..ask::get("secret/k")
            })
            .await?;
    }
    client.auth_enable(AuthEnableRequest {}).await?;
    Ok(target)
}

async fn login(target: &Target, name: &str) -> Result<Client> {
    let request = AuthenticateRequest {
        name: name.to_owned(),
        password: format!("{name}-secret"),
    };
    let token = target.connect()?.authenticate(request).await?.token;
    target.connect()?.with("token", &token)
}

fn reads(key: &'static str) -> [RangeRequest; 3] {
    let local = RangeRequest {
        serializable: true,
        ..ask::get(key)
    };
    [
        ask::get(key),
        local.clone(),
        RangeRequest {
            count_only: true,
            ..local
        },
    ]
}

async fn is_closed(client: &Client, key: &'static str, code: Code, text: &str) -> Result<()> {
    for request in reads(key) {
        expect::refused(client.range(request.clone()).await, code, text)?;
        let txn = ask::all_of(vec![ask::op_range(request)]);
        expect::refused(client.txn(txn).await, code, text)?;
    }
    expect::refused(client.put(ask::put(key, "")).await, code, text)?;
    expect::refused(client.delete(ask::delete(key)).await, code, text)?;
    expect::refused(
        client.txn(ask::all_of(vec![ask::op_put(key, "")])).await,
        code,
        text,
    )
}

async fn without_a_token_nothing_is_told(scene: Scene) -> Result<()> {
    let target = enabled(&scene).await?;
    is_closed(
        &target.connect()?,
        "secret/k",
        Code::InvalidArgument,
        NO_USER,
    )
    .await?;
    let stranger = target.connect()?.with("token", "made-up.7")?;
    expect::refused(
        stranger.range(ask::get("secret/k")).await,
        Code::Unauthenticated,
        BAD_TOKEN,
    )?;
    for request in reads("secret/k") {
        expect::refused_with(
            stranger.range(request).await,
            Code::Unauthenticated,
            |text| text == BAD_TOKEN,
        )?;
    }
    let wrong = AuthenticateRequest {
        name: "root".to_owned(),
        password: "guess".to_owned(),
    };
    let text = "etcdserver: authentication failed, invalid user ID or password";
    expect::refused(
        target.connect()?.authenticate(wrong).await,
        Code::InvalidArgument,
        text,
    )
}

async fn a_token_opens_what_its_roles_open(scene: Scene) -> Result<()> {
    let target = enabled(&scene).await?;
    let eve = login(&target, "eve").await?;
    is_closed(&eve, "secret/k", Code::PermissionDenied, DENIED).await?;
    for request in reads("open/k") {
        expect::same("count", eve.range(request).await?.count, 1)?;
    }
    eve.put(ask::put("open/k2", "")).await?;
    // A range that begins inside and ends outside.
    let wide = RangeRequest {
        range_end: "z".into(),
        serializable: true,
        ..ask::get("open/")
    };
    expect::refused(eve.range(wide).await, Code::PermissionDenied, DENIED)?;
    let root = login(&target, "root").await?;
    expect::same(
        "root reads",
        root.range(ask::get("secret/k")).await?.count,
        1,
    )?;
    let list = root.user_list(AuthUserListRequest {}).await?;
    expect::same("users", list.users, ["eve", "root"])?;
    let eves = root
        .user_get(AuthUserGetRequest {
            name: "eve".to_owned(),
        })
        .await?;
    expect::same("roles", eves.roles, ["visitor"])
}

async fn is_refused(client: &Client, key: &'static str, code: &str) -> Result<()> {
    let mut watching = Watching::open(client);
    for start_revision in [0, 1] {
        watching.create(meridian_etcd_api::etcdserverpb::WatchCreateRequest {
            start_revision,
            ..watching::of_key(key)
        });
        let answer = watching.next().await?;
        let shape = (
            answer.created,
            answer.canceled,
            answer.watch_id,
            answer.events.len(),
        );
        expect::same("shape", shape, (true, true, -1, 0))?;
        ensure!(
            answer.cancel_reason.contains(code),
            "reason {:?}",
            answer.cancel_reason
        );
    }
    Ok(())
}

async fn watches_are_checked_when_created(scene: Scene) -> Result<()> {
    let target = enabled(&scene).await?;
    let eve = login(&target, "eve").await?;
    is_refused(&eve, "secret/k", "permission denied").await?;
    is_refused(&target.connect()?, "secret/k", "user name is empty").await?;
    let (mut watching, _) = Watching::start(&eve, watching::of_prefix(&"open/".into())).await?;
    login(&target, "root")
        .await?
        .put(ask::put("open/k", "new"))
        .await?;
    expect::same(
        "value",
        watching.events(1).await?[0]
            .kv
            .as_ref()
            .map(|kv| kv.value.clone()),
        Some("new".into()),
    )
}

async fn enabled_at_the_home_is_enabled_here(scene: Scene) -> Result<()> {
    let target = scene.fresh(&Wish::default()).await?;
    let (client, home) = (target.connect()?, target.connect_home().await?);
    prepare(&home).await?;
    client.range(ask::get("secret/k")).await?;
    home.auth_enable(AuthEnableRequest {}).await?;
    // It cannot be known at once, but it must be known soon, and then for good.
    wait::eventually(wait::SOON, "the local read is closed", || async {
        let local = RangeRequest {
            serializable: true,
            ..ask::get("secret/k")
        };
        expect::refused(client.range(local).await, Code::InvalidArgument, NO_USER)
    })
    .await?;
    is_closed(&client, "secret/k", Code::InvalidArgument, NO_USER).await
}

async fn disabled_again_all_is_open(scene: Scene) -> Result<()> {
    let target = enabled(&scene).await?;
    login(&target, "root")
        .await?
        .auth_disable(AuthDisableRequest {})
        .await?;
    let client = target.connect()?;
    for request in reads("secret/k") {
        let open = || client.range(request.clone());
        expect::same(
            "count",
            wait::eventually(wait::SOON, "it is open", open)
                .await?
                .count,
            1,
        )?;
    }
    Ok(())
}

async fn json_calls_carry_tokens(scene: Scene) -> Result<()> {
    let target = enabled(&scene).await?;
    let body = serde_json::json!({"name": "eve", "password": "eve-secret"}).to_string();
    let answer = plain_http::post(target.address(), "/v3/auth/authenticate", body)
        .await?
        .json()?;
    let token = answer["token"].as_str().unwrap_or_default().to_owned();
    let read = |key: &str, token: Option<String>| {
        let body = serde_json::json!({"key": b64(key), "serializable": true}).to_string();
        let mut request = plain_http::request(
            target.address(),
            http::Method::POST,
            "/v3/kv/range",
            body.into(),
        );
        if let (Ok(request), Some(token)) = (&mut request, token) {
            let value = http::HeaderValue::from_str(&token);
            request
                .headers_mut()
                .extend(value.map(|value| (http::header::AUTHORIZATION, value)));
        }
        let address = target.address();
        async move { plain_http::call(address, request?).await?.json() }
    };
    expect::same(
        "open",
        &read("open/k", Some(token.clone())).await?["count"],
        &serde_json::json!("1"),
    )?;
    expect::same(
        "secret",
        &read("secret/k", Some(token)).await?["message"],
        &serde_json::json!(DENIED),
    )?;
    expect::same(
        "no token",
        &read("secret/k", None).await?["message"],
        &serde_json::json!(NO_USER),
    )
}

async fn disabled_is_the_beginning(scene: Scene) -> Result<()> {
    let request = AuthenticateRequest {
        name: "root".to_owned(),
        password: "x".to_owned(),
    };
    let text = "etcdserver: authentication is not enabled";
    expect::refused(
        scene.client()?.authenticate(request).await,
        Code::FailedPrecondition,
        text,
    )?;
    // A token that nobody asked for is ignored.
    let client = scene.client()?.with("token", "made-up.7")?;
    client
        .range(ask::get(scene.key("k")))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn enabling_without_root_is_refused(scene: Scene) -> Result<()> {
    let answer = scene.client()?.auth_enable(AuthEnableRequest {}).await;
    expect::refused(
        answer,
        Code::FailedPrecondition,
        "etcdserver: root user does not exist",
    )
}

async fn the_status_says_disabled(scene: Scene) -> Result<()> {
    expect::same(
        "enabled",
        scene
            .client()?
            .auth_status(AuthStatusRequest {})
            .await?
            .enabled,
        false,
    )
}
