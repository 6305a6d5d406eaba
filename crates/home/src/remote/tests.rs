//! A home of scripted members: who gets a call, how often, and what its client is told.
//!
//! Members are HTTP/2 servers in this process ([`member`]), with a proxy before them where bytes
//! must be cut or forged ([`cut`]). Nothing sleeps: tests wait for calls to end, which are bounded.

mod cut;
mod member;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use meridian_etcd_api::{EtcdError, Method};
use tonic::{Code, metadata::MetadataMap};

use self::{
    cut::{Cut, Forge},
    member::{Act, Member},
};
use super::{bounds::READ_ATTEMPTS_MAX, *};
use crate::Fate;

/// Far more than any call here needs; a test that gets here has failed.
const LIMIT: Duration = Duration::from_secs(20);

struct TestHome {
    home: Arc<RemoteHome>,
    tasks: TaskGroup,
}

impl TestHome {
    /// Connected to all endpoints.
    async fn of(endpoints: impl IntoIterator<Item = String>) -> Self {
        let home = Self::unconnected(endpoints);
        let deadline = Instant::now() + LIMIT;
        while home
            .home
            .describe()
            .endpoints
            .iter()
            .any(|e| e.version.is_none())
        {
            assert!(Instant::now() < deadline, "{:?}", home.home.describe());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        home
    }

    fn unconnected(endpoints: impl IntoIterator<Item = String>) -> Self {
        let tasks = TaskGroup::root("test");
        let call_timeout = Duration::from_secs(2);
        let config = RemoteConfig {
            call_timeout,
            connections: 1,
            ..RemoteConfig::of(endpoints)
        };
        Self {
            home: RemoteHome::connect(config, &tasks).unwrap(),
            tasks,
        }
    }

    async fn call(&self, method: Method) -> Result<Reply, CallError> {
        let call = Call::new(method, Bytes::from_static(b"request"));
        tokio::time::timeout(LIMIT, self.home.unary(call))
            .await
            .unwrap()
    }

    async fn stop(self) {
        assert!(self.tasks.stop(LIMIT).await.is_clean());
    }
}

fn told(error: &CallError) -> (Code, &str, Fate) {
    (error.code, &error.message, error.fate)
}

#[tokio::test]
async fn bytes_go_both_ways_untouched() {
    let member = Member::start(Act::Answer).await;
    let home = TestHome::of([member.url()]).await;
    let reply = home.call(Method::KvPut).await.unwrap();
    assert_eq!(reply.message, "answer to request");
    assert_eq!(reply.metadata.get("x-answer").unwrap(), "yes");
    home.stop().await;
}

#[tokio::test]
async fn a_refused_stream_is_sent_to_the_next_endpoint_even_for_a_write() {
    let refusing = Member::start(Act::RefuseStream).await;
    let well = Member::start(Act::Answer).await;
    let home = TestHome::of([refusing.url(), well.url()]).await;
    for _ in 0..6 {
        home.call(Method::KvPut).await.unwrap();
    }
    assert!(refusing.calls() >= 1);
    assert_eq!(well.calls(), 6);
    home.stop().await;
}

#[tokio::test]
async fn a_write_in_flight_when_the_connection_dies_is_never_sent_again() {
    let dying = Member::start(Act::DropConnection).await;
    let well = Member::start(Act::Answer).await;
    let home = TestHome::of([dying.url(), well.url()]).await;
    let (mut lost, mut answered) = (0, 0);
    while lost == 0 {
        match home.call(Method::KvPut).await {
            Ok(_) => answered += 1,
            Err(error) => {
                let text = EtcdError::TIMEOUT_DUE_TO_CONNECTION_LOST.message();
                assert_eq!(told(&error), (Code::Unavailable, text, Fate::Unknown));
                lost += 1;
            }
        }
        assert!(
            answered < 3,
            "calls take turns, so one of two meets the dying member"
        );
    }
    assert_eq!((dying.calls(), well.calls()), (1, answered));
    home.stop().await;
}

#[tokio::test]
async fn a_read_in_flight_when_the_connection_dies_is_answered_by_another_endpoint() {
    let dying = Member::start(Act::DropConnection).await;
    let well = Member::start(Act::Answer).await;
    let home = TestHome::of([dying.url(), well.url()]).await;
    while dying.calls() == 0 {
        home.call(Method::KvRange).await.unwrap();
    }
    home.stop().await;
}

#[tokio::test]
async fn an_unavailable_read_is_repeated_a_bounded_number_of_times() {
    let member = Member::start(Act::Refuse(EtcdError::LEADER_CHANGED)).await;
    let home = TestHome::of([member.url()]).await;
    let error = home.call(Method::KvRange).await.unwrap_err();
    let text = EtcdError::LEADER_CHANGED.message();
    assert_eq!(told(&error), (Code::Unavailable, text, Fate::Refused));
    assert_eq!(member.calls(), READ_ATTEMPTS_MAX as usize);
    home.stop().await;
}

#[tokio::test]
async fn an_unavailable_write_is_told_as_it_is() {
    let member = Member::start(Act::Refuse(EtcdError::NO_LEADER)).await;
    let home = TestHome::of([member.url()]).await;
    let error = home.call(Method::KvTxn).await.unwrap_err();
    let text = EtcdError::NO_LEADER.message();
    assert_eq!(told(&error), (Code::Unavailable, text, Fate::Refused));
    assert_eq!(member.calls(), 1);
    home.stop().await;
}

#[tokio::test]
async fn a_refusal_keeps_its_metadata_and_sets_nothing_aside() {
    let member = Member::start(Act::Refuse(EtcdError::EMPTY_KEY)).await;
    let home = TestHome::of([member.url()]).await;
    let error = home.call(Method::KvPut).await.unwrap_err();
    assert_eq!(error.metadata.get("x-answer").unwrap(), "no");
    assert!(home.home.describe().endpoints[0].healthy);
    home.stop().await;
}

#[tokio::test]
async fn an_endpoint_without_leader_gets_no_calls_while_another_is_well() {
    let leaderless = Member::start(Act::Refuse(EtcdError::NO_LEADER)).await;
    let well = Member::start(Act::Answer).await;
    let home = TestHome::of([leaderless.url(), well.url()]).await;
    for _ in 0..10 {
        let _ = home.call(Method::KvPut).await;
    }
    assert_eq!(leaderless.calls(), 1, "the first refusal sets it aside");
    let status = &home.home.describe().endpoints[0];
    assert!(!status.healthy);
    assert_eq!(
        status.last_error.as_deref(),
        Some(EtcdError::NO_LEADER.message())
    );
    home.stop().await;
}

#[tokio::test]
async fn a_member_that_says_it_has_no_leader_is_avoided_from_the_start() {
    let leaderless = Member::start_without_leader().await;
    let well = Member::start(Act::Answer).await;
    let home = TestHome::of([leaderless.url(), well.url()]).await;
    for _ in 0..4 {
        home.call(Method::KvPut).await.unwrap();
    }
    assert_eq!((leaderless.calls(), well.calls()), (0, 4));
    home.stop().await;
}

#[tokio::test]
async fn no_endpoint_in_time_is_told_in_the_words_that_make_a_resend_safe() {
    let home = TestHome::unconnected(["http://127.0.0.1:1".to_owned()]);
    let error = home.call(Method::KvPut).await.unwrap_err();
    let words = "there is no connection available";
    assert_eq!(told(&error), (Code::Unavailable, words, Fate::NotSent));
    let call = StreamCall {
        method: Method::Watch,
        metadata: MetadataMap::new(),
        requests: stream::pending().boxed(),
    };
    let error = home.home.stream(call).await.err().unwrap();
    assert_eq!(told(&error), (Code::Unavailable, words, Fate::NotSent));
    assert!(
        home.home.describe().endpoints[0]
            .last_error
            .as_deref()
            .unwrap()
            .contains("connect")
    );
    home.stop().await;
}

#[tokio::test]
async fn the_clients_deadline_is_carried_and_kept() {
    let member = Member::start(Act::Hang).await;
    let home = TestHome::of([member.url()]).await;
    let mut call = Call::new(Method::KvPut, Bytes::new());
    call.metadata.insert("token", "t".parse().unwrap());
    call.metadata
        .insert("meridian-max-staleness", "1s".parse().unwrap());
    call.deadline = Some(Instant::now() + Duration::from_millis(300));
    let error = home.home.unary(call).await.unwrap_err();
    assert_eq!(
        (error.code, error.fate),
        (Code::DeadlineExceeded, Fate::Unknown)
    );
    let headers = member.last_headers();
    assert!(headers.contains_key("grpc-timeout"));
    assert_eq!(headers["token"], "t");
    assert!(!headers.contains_key("meridian-max-staleness"));
    assert!(
        home.home.describe().endpoints[0].healthy,
        "a short deadline blames nobody"
    );
    home.stop().await;
}

#[tokio::test]
async fn a_call_without_deadline_is_bounded_by_ours() {
    let member = Member::start(Act::Hang).await;
    let home = TestHome::of([member.url()]).await;
    let error = home.call(Method::KvPut).await.unwrap_err();
    let text = EtcdError::TIMEOUT.message();
    assert_eq!(told(&error), (Code::Unavailable, text, Fate::Unknown));
    home.stop().await;
}

#[tokio::test]
async fn what_is_not_grpc_is_named() {
    let member = Member::start(Act::Http503).await;
    let home = TestHome::of([member.url()]).await;
    let error = home.call(Method::KvPut).await.unwrap_err();
    assert_eq!((error.code, error.fate), (Code::Unavailable, Fate::Unknown));
    assert!(error.message.contains("HTTP 503"), "{error}");
    home.stop().await;
}

#[tokio::test]
async fn a_goaway_that_leaves_the_call_out_makes_it_unsent() {
    let behind = Member::start(Act::Answer).await;
    let cut = Cut::before(&behind).await;
    let well = Member::start(Act::Answer).await;
    let home = TestHome::of([cut.url(), well.url()]).await;
    cut.on_next_request(Forge::GoAwayLeavingOut);
    for _ in 0..4 {
        home.call(Method::KvPut).await.unwrap();
    }
    assert!(cut.has_struck());
    assert_eq!(well.calls() + behind.calls(), 4);
    home.stop().await;
}

#[tokio::test]
async fn a_goaway_that_takes_the_call_in_and_then_silence_leaves_it_unknown() {
    let behind = Member::start(Act::Answer).await;
    let cut = Cut::before(&behind).await;
    let home = TestHome::of([cut.url()]).await;
    cut.on_next_request(Forge::GoAwayTakingIn);
    let error = home.call(Method::KvPut).await.unwrap_err();
    let text = EtcdError::TIMEOUT_DUE_TO_CONNECTION_LOST.message();
    assert_eq!(told(&error), (Code::Unavailable, text, Fate::Unknown));
    assert!(cut.has_struck());
    home.stop().await;
}

#[tokio::test]
async fn a_stream_whose_requests_were_not_taken_moves_to_another_endpoint() {
    let refusing = Member::start(Act::RefuseStream).await;
    let well = Member::start(Act::Answer).await;
    let home = TestHome::of([refusing.url(), well.url()]).await;
    let call = StreamCall {
        method: Method::Watch,
        metadata: MetadataMap::new(),
        requests: stream::pending().boxed(),
    };
    let opened = tokio::time::timeout(LIMIT, home.home.stream(call))
        .await
        .unwrap();
    let mut replies = opened.unwrap();
    assert_eq!(
        replies.messages.next().await.unwrap().unwrap(),
        "answer to "
    );
    assert_eq!(well.calls(), 1);
    home.stop().await;
}

#[tokio::test]
async fn a_read_index_asks_the_next_endpoint_when_one_is_silent() {
    let silent = Member::start(Act::Hang).await;
    let well = Member::start(Act::Range { revision: 41 }).await;
    let home = TestHome::of([silent.url(), well.url()]).await;
    for _ in 0..3 {
        let facts = home.home.read_index().await.unwrap();
        assert_eq!(facts.revision, Revision::new(41));
    }
    assert!(silent.calls() <= 1, "silence sets it aside");
    assert_eq!(well.last_headers()["hasleader"], "true");
    home.stop().await;
}

#[tokio::test]
async fn authentication_is_told_by_a_refusal_too() {
    let member = Member::start(Act::Refuse(EtcdError::USER_EMPTY)).await;
    let home = TestHome::of([member.url()]).await;
    assert!(home.home.auth_enabled().await.unwrap());
    assert!(
        home.home
            .read_index()
            .await
            .unwrap_err()
            .means_auth_required()
    );
    home.stop().await;
}

#[tokio::test]
async fn versions_are_told_with_their_faults() {
    let member = Member::start(Act::Answer).await;
    let home = TestHome::of([member.url()]).await;
    let description = home.home.describe();
    assert_eq!((description.kind, description.replicated), ("etcd", true));
    assert_eq!(description.version.as_deref(), Some("3.4.23"));
    assert!(
        description.endpoints[0]
            .warning
            .as_deref()
            .unwrap()
            .contains("upgrade to 3.4.42")
    );
    home.stop().await;
}

#[tokio::test]
async fn a_configuration_that_describes_no_home_is_refused() {
    let tasks = TaskGroup::root("test");
    let none = RemoteHome::connect(RemoteConfig::of([""; 0]), &tasks)
        .err()
        .unwrap();
    assert!(none.to_string().contains("name at least one"));
    let bare = RemoteHome::connect(RemoteConfig::of(["127.0.0.1:2379"]), &tasks)
        .err()
        .unwrap();
    assert!(
        bare.to_string()
            .contains("write it as http://127.0.0.1:2379")
    );
    assert!(tasks.stop(LIMIT).await.is_clean());
}
