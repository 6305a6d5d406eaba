//! Goal: metadata is read as promised, and refused by name.

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn level(pairs: &[(&'static str, &str)], serializable: bool) -> ReadTerms {
    let terms = Terms::of(&headers(pairs)).unwrap();
    terms.of_read(serializable, Revision::new(5))
}

fn refusal(name: &'static str, value: &str) -> (Code, String) {
    let failure = Terms::of(&headers(&[(name, value)])).unwrap_err();
    (failure.code, failure.message.into_owned())
}

#[test]
fn the_message_alone_names_etcds_two_levels() {
    assert_eq!(level(&[], false).level, Level::Linearizable);
    assert_eq!(level(&[], true).level, Level::Serializable);
    assert_eq!(level(&[], true).floor, Revision::new(5));
}

#[test]
fn metadata_names_the_other_two_and_wins() {
    let session = level(&[(MIN_REVISION, "42")], true);
    assert_eq!(session.level, Level::Session(Revision::new(42)));
    let bounded = level(&[(MAX_STALENESS, "1s 500ms")], false);
    assert_eq!(bounded.level, Level::Bounded(Duration::from_millis(1500)));
}

#[test]
fn given_both_a_read_keeps_to_both() {
    let both = level(&[(MIN_REVISION, "42"), (MAX_STALENESS, "1s")], false);
    assert_eq!(both.level, Level::Bounded(Duration::from_secs(1)));
    assert_eq!(both.floor, Revision::new(42));
}

#[test]
fn what_cannot_be_understood_is_refused_by_name() {
    for value in ["", "-1", "x", "9999999999999999999999"] {
        let (code, text) = refusal(MIN_REVISION, value);
        assert_eq!(code, Code::InvalidArgument);
        assert!(
            text.contains(MIN_REVISION) && text.contains("such as"),
            "{text}"
        );
    }
    for value in ["", "5", "-1s", "soon"] {
        let (code, text) = refusal(MAX_STALENESS, value);
        assert_eq!(code, Code::InvalidArgument);
        assert!(
            text.contains(MAX_STALENESS) && text.contains("such as"),
            "{text}"
        );
    }
}

#[test]
fn timeouts_are_read_and_refused_as_by_grpc_go() {
    let terms = Terms::of(&headers(&[("grpc-timeout", "90S")])).unwrap();
    let left = terms.deadline.unwrap() - Instant::now();
    assert!(left > Duration::from_secs(89) && left <= Duration::from_secs(90));
    assert!(Terms::of(&headers(&[("grpc-timeout", "99999999H")])).is_ok());
    let (code, text) = refusal("grpc-timeout", "zz");
    assert_eq!(code, Code::Internal);
    let unit = r#"malformed grpc-timeout: transport: timeout unit is not recognized: "zz""#;
    assert_eq!(text, unit);
    assert!(refusal("grpc-timeout", "S").1.contains("too short"));
    assert!(refusal("grpc-timeout", "123456789S").1.contains("too long"));
}

#[test]
fn a_client_version_that_is_not_utf8_is_refused() {
    let mut headers = HeaderMap::new();
    let broken = HeaderValue::from_bytes(b"3.\xff").unwrap();
    headers.insert("client-api-version", broken);
    let failure = Terms::of(&headers).unwrap_err();
    assert_eq!(
        failure.message,
        EtcdError::INVALID_CLIENT_API_VERSION.message()
    );
}

#[test]
fn a_leader_is_wanted_only_by_the_word_true() {
    let of = |value| Terms::of(&headers(&[("hasleader", value)])).unwrap().leader;
    assert_eq!(of("true"), LeaderWanted::Yes);
    assert_eq!(of("false"), LeaderWanted::No);
}

#[test]
fn an_unknown_compression_is_refused_as_by_grpc_go() {
    let (code, text) = refusal("grpc-encoding", "nope");
    assert_eq!(code, Code::Unimplemented);
    assert_eq!(
        text,
        r#"grpc: Decompressor is not installed for grpc-encoding "nope""#
    );
}

#[test]
fn what_belongs_to_this_hop_stays_here() {
    let sent = to_home(&headers(&[
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "1S"),
        (MIN_REVISION, "4"),
        ("token", "t"),
        ("hasleader", "true"),
    ]));
    let names: Vec<_> = sent
        .into_headers()
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["token", "hasleader"]);
}
