//! Requests that are not accepted, and how they are told.

use rstest::rstest;

use crate::harness::{GOOD, Harness, nonce, now_seconds, sign};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_and_a_wrong_secret_get_the_same_answer() {
    let h = Harness::start().await;
    let unknown = sign("POST", "/v1/messages", GOOD, "k9", now_seconds(), &nonce());
    let mut wrong = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    wrong.replace_range(wrong.len() - 4.., "0000");
    let mut bodies = Vec::new();
    for authorization in [&unknown, &wrong, "Bearer k1.wrong", "Bearer k9.secret"] {
        let mut answer = h.post_as(authorization, "/v1/messages", GOOD).await;
        assert_eq!((answer.status, answer.code()), (401, "unauthorized"));
        assert_eq!(answer.header("www-authenticate"), "JIXINDA-HMAC-SHA256");
        answer.body["request_id"].take();
        bodies.push(answer.body);
    }
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "{bodies:?}"
    );
    let none = h
        .call(
            "POST",
            "/v1/messages",
            &[("content-type", "application/json")],
            GOOD,
        )
        .await;
    assert_eq!((none.status, none.code()), (401, "unauthorized"));
    assert_eq!(h.all_records(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_covers_body_query_and_method() {
    let h = Harness::start().await;
    for signed in [
        sign("POST", "/v1/messages", "{}", "k1", now_seconds(), &nonce()),
        sign(
            "POST",
            "/v1/messages?dry_run=true",
            GOOD,
            "k1",
            now_seconds(),
            &nonce(),
        ),
        sign("PUT", "/v1/messages", GOOD, "k1", now_seconds(), &nonce()),
        sign(
            "POST",
            "/v1/messages/batch",
            GOOD,
            "k1",
            now_seconds(),
            &nonce(),
        ),
    ] {
        let answer = h.post_as(&signed, "/v1/messages", GOOD).await;
        assert_eq!((answer.status, answer.code()), (401, "unauthorized"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allow_list_believes_a_forwarded_address_only_from_a_trusted_proxy() {
    let body = "{}";
    for (trusted, hops, want) in [
        (false, Some("198.51.100.7"), 403),
        (true, Some("198.51.100.7"), 422),
        (true, Some("198.51.100.7, 203.0.113.9"), 403),
        (true, None, 403),
    ] {
        let h = Harness::with(|c| {
            if trusted {
                c.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            }
        })
        .await;
        let authorization = sign(
            "POST",
            "/v1/messages",
            body,
            "koffice",
            now_seconds(),
            &nonce(),
        );
        let mut headers = vec![
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(hops.map(|hops| ("x-forwarded-for", hops)));
        let answer = h.call("POST", "/v1/messages", &headers, body).await;
        assert_eq!(answer.status, want, "{trusted} {hops:?} {}", answer.body);
        if want == 403 {
            assert_eq!(answer.code(), "ip_not_allowed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_key_that_came_over_plain_http_from_afar_is_refused() {
    let h = Harness::with(|c| c.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    for (proto, want) in [("http", 401), ("https", 202)] {
        let headers = [
            ("authorization", "Bearer k1.secret"),
            ("content-type", "application/json"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", proto),
        ];
        let answer = h.call("POST", "/v1/messages", &headers, GOOD).await;
        assert_eq!(answer.status, want, "{}", answer.body);
    }
}

#[rstest]
#[case::unknown_template(r#"{"recipient":"13800138000","template":"none"}"#, &["template:unknown_template"])]
#[case::missing_variable(r#"{"recipient":"13800138000","template":"login"}"#, &["params.code:missing_variable"])]
#[case::unknown_field(
    r#"{"recipient":"13800138000","template":"login","params":{"code":"1"},"templte":"x"}"#,
    &["templte:unknown_field"]
)]
#[case::number_for_text(
    r#"{"recipient":13800138000,"template":"login","params":{"code":1}}"#,
    &["recipient:bad_field", "params.code:bad_field", "params.code:bad_variable"]
)]
#[case::nothing_given("{}", &["recipient:missing_field", "template:missing_field"])]
#[case::all_at_once(
    r#"{"recipient":"123","template":"login","params":{"x":"1"},"not_before":"tomorrow","valid_for":"soon"}"#,
    &[
        "recipient:bad_recipient", "valid_for:bad_field", "not_before:bad_field", "params.code:missing_variable",
        "params.x:unknown_variable"
    ]
)]
#[case::suppressed(
    r#"{"recipient":"13900139000","template":"login","params":{"code":"1"}}"#,
    &["recipient:suppressed"]
)]
#[tokio::test(flavor = "multi_thread")]
async fn every_problem_is_named_with_its_field(#[case] body: &str, #[case] want: &[&str]) {
    let h = Harness::start().await;
    let answer = h.send(body).await;
    assert_eq!(
        (answer.status, answer.errors()),
        (422, want.iter().map(ToString::to_string).collect()),
        "{}",
        answer.body
    );
    assert_eq!(answer.header("content-type"), "application/problem+json");
    for member in ["type", "title", "detail", "request_id"] {
        assert!(!answer.text(member).is_empty());
    }
    assert_eq!(answer.body["status"], 422);
    assert_eq!(answer.code(), want[0].split(':').nth(1).unwrap());
    assert_eq!(h.all_records(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_told_with_its_place() {
    let h = Harness::start().await;
    for body in ["", "{", "\u{0}", r#"{"recipient" "x"}"#] {
        let answer = h.send(body).await;
        assert_eq!((answer.status, answer.code()), (400, "bad_json"), "{body}");
        assert!(answer.text("detail").contains("line"), "{}", answer.body);
    }
    let answer = h.send("[]").await;
    assert_eq!((answer.status, answer.code()), (422, "bad_field"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_paths_methods_and_media_types_are_problems_too() {
    let h = Harness::start().await;
    let answer = h.get("/v2/messages").await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
    let answer = h.get("/v1/messages").await;
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"));
    assert_eq!(answer.header("allow"), "POST");
    let authorization = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = h.call("POST", "/v1/messages", &headers, GOOD).await;
    assert_eq!((answer.status, answer.code()), (415, "bad_json"));
    assert_eq!(answer.header("content-type"), "application/problem+json");
}
