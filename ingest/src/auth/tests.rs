use axum::http::Request;
use jixinda_runtime::{clock::ManualClock, directory::View};
use jixinda_schemas::directory::{Snapshot, credential_place};
use rstest::rstest;

use super::*;

const NOW: Timestamp = Timestamp(1_735_787_045_000);
const TS: i64 = 1_735_787_045;

fn platform() -> PlatformKey {
    PlatformKey::from_base64("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap()
}

fn app(id: &str, extra: &str, credentials: &[(&str, &str)]) -> (String, String) {
    let app = id.parse().unwrap();
    let list: Vec<String> = credentials
        .iter()
        .map(|(key_id, secret)| {
            let sealed = platform().seal(&credential_place(&app, key_id), secret).0;
            let enabled = !key_id.ends_with("-off");
            let bearer = key_id.starts_with("b.");
            format!(r#"{{"key_id":"{key_id}","secret":"{sealed}","enabled":{enabled},"bearer":{bearer}}}"#)
        })
        .collect();
    (
        format!("app/{id}"),
        format!(
            r#"{{"type":"app","id":"{id}"{extra},"credentials":[{}]}}"#,
            list.join(",")
        ),
    )
}

fn auth() -> Auth {
    let mut broken = app("broken", "", &[("kx", "x")]);
    broken.1 = broken.1.replace("v1.", "v1.ff");
    let records = [
        app(
            "shop",
            "",
            &[
                ("k1", "one"),
                ("k2", "two"),
                ("k3-off", "three"),
                ("b.1", "bear.er"),
            ],
        ),
        app("off", r#","enabled":false"#, &[("ko", "off")]),
        app(
            "office",
            r#","ip_allow":["198.51.100.0/24"]"#,
            &[("ki", "ip")],
        ),
        app("twin-a", "", &[("kd", "same")]),
        app("twin-b", "", &[("kd", "same")]),
        broken,
    ];
    let mut snapshot = Snapshot::default();
    for (offset, (key, value)) in (0..).zip(&records) {
        snapshot.apply(key, Some(value.as_bytes()), offset).unwrap();
    }
    snapshot
        .apply(
            "revision",
            Some(br#"{"type":"revision","revision":1,"changed":6}"#),
            9,
        )
        .unwrap();
    let directory = Directory::fixed(View {
        snapshot: Arc::new(snapshot),
        ..View::default()
    });
    let mut config = crate::config::defaults();
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    Auth::new(
        directory,
        platform(),
        Arc::new(ManualClock::at(NOW)),
        &config,
    )
}

fn signable(key: &'static str, ts: i64) -> Signable<'static> {
    Signable {
        method: "POST",
        path: "/v1/messages",
        query: "",
        body: b"{}",
        key,
        ts,
        nonce: "nonce-0001",
    }
}

fn call(
    auth: &Auth,
    authorization: &str,
    body: &[u8],
    peer: &str,
    forwarded: Option<&str>,
) -> Result<Caller, (u16, Reason)> {
    let mut request = Request::post("/v1/messages").header("authorization", authorization);
    if let Some(hop) = forwarded {
        request = request.header("x-forwarded-for", hop);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    auth.claim(&parts.headers)
        .and_then(|claim| auth.prove(claim, &parts, body, peer.parse().unwrap()))
        .map_err(|refusal| (refusal.status.as_u16(), refusal.code))
}

#[rstest]
#[case::one_secret("k1", "one", Ok("shop"))]
#[case::the_other_while_they_are_rotated("k2", "two", Ok("shop"))]
#[case::a_disabled_secret("k3-off", "three", Err((401, Reason::Unauthorized)))]
#[case::the_secret_of_the_other_key("k1", "two", Err((401, Reason::Unauthorized)))]
#[case::an_unknown_key("k9", "one", Err((401, Reason::Unauthorized)))]
#[case::a_key_of_two_apps("kd", "same", Err((401, Reason::Unauthorized)))]
#[case::a_credential_that_does_not_open("kx", "x", Err((401, Reason::Unauthorized)))]
#[case::a_disabled_app("ko", "off", Err((403, Reason::UnknownApp)))]
#[case::an_address_that_is_not_allowed("ki", "ip", Err((403, Reason::IpNotAllowed)))]
fn a_signature_counts_only_under_an_active_secret(
    #[case] key: &'static str,
    #[case] secret: &str,
    #[case] want: Result<&str, (u16, Reason)>,
) {
    let got = call(
        &auth(),
        &signable(key, TS).authorization(secret),
        b"{}",
        "203.0.113.9",
        None,
    );
    assert_eq!(
        got.map(|c| c.key.app.id.to_string()),
        want.map(ToOwned::to_owned)
    );
}

/// Defect (k) of the system that this replaces: a captured request could be sent again for ever.
#[rstest]
#[case(-300, true)]
#[case(300, true)]
#[case(-301, false)]
#[case(301, false)]
#[case(i64::MAX - TS, false)]
fn a_signature_counts_only_within_300_seconds(#[case] skew: i64, #[case] fresh: bool) {
    let got = call(
        &auth(),
        &signable("k1", TS + skew).authorization("one"),
        b"{}",
        "127.0.0.1",
        None,
    );
    assert_eq!(
        got.map(drop),
        if fresh {
            Ok(())
        } else {
            Err((401, Reason::StaleTimestamp))
        }
    );
}

#[test]
fn an_altered_body_and_an_unreadable_header_are_refused() {
    let auth = auth();
    let good = signable("k1", TS).authorization("one");
    let refused = Err((401, Reason::Unauthorized));
    assert_eq!(
        call(&auth, &good, b"{ }", "127.0.0.1", None).map(drop),
        refused
    );
    for header in [
        "",
        "Basic eA==",
        "JIXINDA-HMAC-SHA256 key=k1",
        "Bearer",
        "Bearer x",
        "Bearer .",
    ] {
        assert_eq!(
            call(&auth, header, b"{}", "127.0.0.1", None).map(drop),
            refused,
            "{header}"
        );
    }
}

#[rstest]
#[case::from_the_same_host("b.1.bear.er", "127.0.0.1", true)]
#[case::plain_from_afar("b.1.bear.er", "203.0.113.9", false)]
#[case::wrong_secret("b.1.bear.e", "127.0.0.1", false)]
#[case::a_key_that_only_signs("k1.one", "127.0.0.1", false)]
fn a_bearer_key_counts_only_where_nobody_can_read_it(
    #[case] token: &str,
    #[case] peer: &str,
    #[case] good: bool,
) {
    let got = call(&auth(), &format!("Bearer {token}"), b"{}", peer, None).map(drop);
    assert_eq!(
        got,
        if good {
            Ok(())
        } else {
            Err((401, Reason::Unauthorized))
        }
    );
}

#[rstest]
#[case::direct("198.51.100.7", None, true)]
#[case::direct_with_a_made_up_hop("203.0.113.9", Some("198.51.100.7"), false)]
#[case::through_the_proxy("10.0.0.1", Some("198.51.100.7"), true)]
#[case::a_made_up_hop_before_the_proxy("10.0.0.1", Some("198.51.100.7, 203.0.113.9"), false)]
fn the_allow_list_looks_at_the_true_address(
    #[case] peer: &str,
    #[case] hops: Option<&str>,
    #[case] good: bool,
) {
    let got = call(
        &auth(),
        &signable("ki", TS).authorization("ip"),
        b"{}",
        peer,
        hops,
    )
    .map(drop);
    assert_eq!(
        got,
        if good {
            Ok(())
        } else {
            Err((403, Reason::IpNotAllowed))
        }
    );
}

#[test]
fn a_nonce_is_refused_once_its_request_is_in_the_log_and_not_before() {
    let auth = auth();
    let caller = call(
        &auth,
        &signable("k1", TS).authorization("one"),
        b"{}",
        "127.0.0.1",
        None,
    )
    .unwrap();
    assert!(auth.refuse_replay(&caller).is_ok());
    assert!(auth.refuse_replay(&caller).is_ok());
    auth.remember_nonce(&caller);
    assert_eq!(
        auth.refuse_replay(&caller).unwrap_err().code,
        Reason::NonceReplayed
    );
    let other = call(
        &auth,
        &signable("k2", TS).authorization("two"),
        b"{}",
        "127.0.0.1",
        None,
    )
    .unwrap();
    assert!(auth.refuse_replay(&other).is_ok());
}
