//! Size, pace, slowness, number of connections; TLS and drain.

use std::{process::Command, time::Duration};

use jixinda_ingest::config::Tls;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{GOOD, Harness, nonce, now_seconds, sign};

const LONG: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_body_is_refused_announced_or_not() {
    let h = Harness::start().await;
    let body = format!("{{{}}}", " ".repeat(17 * 1024));
    let answer = h.send(&body).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    let mut stream = TcpStream::connect(h.address).await.unwrap();
    let authorization = sign("POST", "/v1/messages", &body, "k1", now_seconds(), &nonce());
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(LONG, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_held_to_its_rate_and_a_batch_counts_its_items() {
    let h = Harness::start().await;
    let send = async |target: &'static str, body: &'static str| {
        h.post_as(
            &sign("POST", target, body, "kslow", now_seconds(), &nonce()),
            target,
            body,
        )
        .await
    };
    let items = r#"{"template":"slow-news","items":[{"recipient":"13800138000"},{"recipient":"13800138001"},{"recipient":"13800138002"},
        {"recipient":"13800138003"},{"recipient":"13800138004"},{"recipient":"13800138005"},{"recipient":"13800138006"},
        {"recipient":"13800138007"},{"recipient":"13800138008"},{"recipient":"13800138009"}]}"#;
    assert_eq!(send("/v1/messages/batch", items).await.status, 202);
    let answer = send(
        "/v1/messages",
        r#"{"recipient":"13800138000","template":"slow-news"}"#,
    )
    .await;
    assert_eq!((answer.status, answer.code()), (429, "rate_limited"));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(h.send(GOOD).await.status, 202);
    assert_eq!(h.all_records(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_dribbles_its_header_or_body_is_cut_off() {
    let h = Harness::with(|c| {
        c.header_timeout = Duration::from_millis(300);
        c.body_timeout = Duration::from_millis(300);
    })
    .await;
    let mut slow_header = TcpStream::connect(h.address).await.unwrap();
    slow_header
        .write_all(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    timeout(LONG, slow_header.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();

    let authorization = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{{",
        GOOD.len()
    );
    let mut slow_body = TcpStream::connect(h.address).await.unwrap();
    slow_body.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(LONG, slow_body.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_those_within_it_go_on() {
    let h = Harness::with(|c| c.max_connections = 1).await;
    assert_eq!(h.send(GOOD).await.status, 202);
    let mut second = TcpStream::connect(h.address).await.unwrap();
    let mut rest = Vec::new();
    // A reset is a close as well.
    drop(timeout(LONG, second.read_to_end(&mut rest)).await.unwrap());
    assert!(rest.is_empty());
    assert_eq!(h.send(GOOD).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_stop_the_open_request_is_answered_before_the_service_ends() {
    let h = Harness::start().await;
    let authorization = sign("POST", "/v1/messages", GOOD, "k1", now_seconds(), &nonce());
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        GOOD.len()
    );
    let mut open = TcpStream::connect(h.address).await.unwrap();
    open.write_all(head.as_bytes()).await.unwrap();
    open.write_all(&GOOD.as_bytes()[..10]).await.unwrap();
    // A second, answered call shows that the first has been taken up.
    assert_eq!(h.send(GOOD).await.status, 202);
    h.lifecycle.stop();
    open.write_all(&GOOD.as_bytes()[10..]).await.unwrap();
    let mut answer = Vec::new();
    timeout(LONG, open.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 202"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(h.all_records(), 2);
    h.stop().await;
}

/// With `openssl` at hand; the test has nothing to show without it.
#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_bearer_key_is_enough() {
    let dir = std::env::temp_dir().join(format!("jixinda-ingest-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (certificate, key) = (dir.join("tls.crt"), dir.join("tls.key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if !made.is_ok_and(|m| m.status.success()) {
        return;
    }
    let h = Harness::with(|c| c.tls = Some(Tls { certificate, key })).await;
    let headers = [
        ("authorization", "Bearer k1.secret"),
        ("content-type", "application/json"),
    ];
    assert_eq!(
        h.call("POST", "/v1/messages", &headers, GOOD).await.status,
        202
    );
    h.stop().await;
    std::fs::remove_dir_all(dir).unwrap();
}
