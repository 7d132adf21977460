use std::io::ErrorKind;
use std::time::Duration;

use jixinda_lab::journal::{Answered, Outcome};

use crate::client::{Connection, Request};
use crate::receiver::{Receiver, url};
use crate::setup::{Setup, eventually};

async fn only_call(setup: &Setup) -> (Outcome, Answered) {
    eventually("the call is in the journal", || async {
        !setup.calls().is_empty()
    })
    .await;
    let call = setup.calls().pop().unwrap();
    (call.outcome, call.answered)
}

#[tokio::test]
async fn magic_numbers_force_their_code() {
    let setup = Setup::new("", "").await;
    for (suffix, status, code) in [
        ("0001", 200, "isv.MOBILE_NUMBER_ILLEGAL"),
        ("0002", 200, "isv.BLACK_KEY_CONTROL_LIMIT"),
        ("0009", 200, "isv.AMOUNT_NOT_ENOUGH"),
        ("0012", 200, "isv.BUSINESS_LIMIT_CONTROL"),
        ("0013", 429, "Throttling.User"),
        ("0014", 200, "isp.SYSTEM_ERROR"),
        ("0015", 200, "isv.SMS_TEMPLATE_ILLEGAL"),
    ] {
        let answer = Request::to(&format!("1380013{suffix}"))
            .send(setup.at())
            .await
            .unwrap();
        assert_eq!((answer.status, &*answer.code()), (status, code));
    }
}

#[tokio::test]
async fn magic_numbers_can_be_turned_off() {
    let setup = Setup::new("", "behaviour.magic_numbers = false").await;
    assert_eq!(Request::to("13800130001").code(setup.at()).await, "OK");
}

#[tokio::test]
async fn a_call_accepted_and_never_answered_is_journalled_as_accepted() {
    let (receiver, address) = Receiver::start(&[]).await;
    let setup = Setup::new("", &url(address)).await;
    let request = Request::to("13800130005");
    let lab = setup.at();
    let answer = tokio::time::timeout(Duration::from_millis(300), request.send(lab)).await;
    assert!(answer.is_err(), "{answer:?}");
    let (outcome, answered) = only_call(&setup).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }));
    assert_eq!(answered, Answered::Timeout);
    eventually("its receipt comes", || async {
        receiver.items().len() == 1
    })
    .await;
}

#[tokio::test]
async fn a_hanging_call_is_cut_at_the_limit() {
    let setup = Setup::new("hang_limit = '50ms'", "").await;
    let error = Request::to("13800130005")
        .send(setup.at())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_reset_after_accept_is_a_reset_to_the_client_and_accepted_in_the_journal() {
    let setup = Setup::new("", "").await;
    let error = Request::to("13800130010")
        .send(setup.at())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (outcome, answered) = only_call(&setup).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }));
    assert_eq!(answered, Answered::Reset);
}

#[tokio::test]
async fn answers_without_a_code_tell_in_the_journal_whether_the_message_was_taken() {
    for (suffix, status, taken, answered) in [
        ("0008", 502, true, Answered::Status(502)),
        ("0016", 503, false, Answered::Status(503)),
        ("0011", 200, false, Answered::Garbage),
        ("0017", 200, true, Answered::Garbage),
    ] {
        let setup = Setup::new("", "").await;
        let answer = Request::to(&format!("1380013{suffix}"))
            .send(setup.at())
            .await
            .unwrap();
        assert_eq!(answer.status, status);
        assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_err());
        let (outcome, seen) = only_call(&setup).await;
        assert_eq!(
            matches!(outcome, Outcome::Accepted { .. }),
            taken,
            "{suffix}"
        );
        assert_eq!(seen, answered);
    }
}

#[tokio::test]
async fn down_is_503_without_a_code_or_a_dropped_connection() {
    let setup = Setup::new("", "behaviour.down = 'unavailable'").await;
    let answer = Request::to("13800138123").send(setup.at()).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(!answer.body.contains("Code"));
    let setup = Setup::new("", "behaviour.down = 'drop'").await;
    let error = Request::to("13800138123")
        .send(setup.at())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let refused = Outcome::Refused {
        code: "down_drop".into(),
    };
    assert_eq!(only_call(&setup).await, (refused, Answered::Reset));
}

#[tokio::test]
async fn latency_is_spent_before_the_answer() {
    let setup = Setup::new("", "behaviour.latency = { mean = '80ms', jitter = '10ms' }").await;
    let began = std::time::Instant::now();
    assert_eq!(Request::to("13800138123").code(setup.at()).await, "OK");
    assert!(
        began.elapsed() >= Duration::from_millis(69),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn calls_over_the_rate_are_throttled_with_a_retry_header() {
    let setup = Setup::new("", "rate_per_second = 5").await;
    let mut connection = Connection::open(setup.at()).await.unwrap();
    let mut throttled = 0;
    for _ in 0..40 {
        let answer = connection
            .send(&Request::to("13800138123").bytes(setup.at()))
            .await
            .unwrap();
        if answer.status == 429 {
            assert_eq!(answer.code(), "Throttling.User");
            assert!(
                answer.head.contains("x-acs-retry-after: 1\r\n"),
                "{}",
                answer.head
            );
            throttled += 1;
        }
    }
    eventually("all are journalled", || async { setup.calls().len() == 40 }).await;
    let mut seconds = std::collections::BTreeMap::<u64, u32>::new();
    for call in setup.calls() {
        if matches!(call.outcome, Outcome::Accepted { .. }) {
            *seconds.entry(call.at_ms / 1000).or_default() += 1;
        }
    }
    assert!(throttled > 0);
    assert!(
        seconds.values().all(|accepted| *accepted <= 5),
        "{seconds:?}"
    );
}

#[tokio::test]
async fn the_same_seed_gives_the_same_calls_the_same_fate() {
    let behaviour = "behaviour.submit_errors = [
        { share = 0.3, kind = 'isv.AMOUNT_NOT_ENOUGH' }, { share = 0.2, kind = 'http_503' }]";
    let mut runs = Vec::new();
    for seed in ["seed = 5", "seed = 5", "seed = 6"] {
        let setup = Setup::new(seed, behaviour).await;
        let mut connection = Connection::open(setup.at()).await.unwrap();
        let mut run = Vec::new();
        for _ in 0..60 {
            let request = Request::to("13800138123").bytes(setup.at());
            let answer = connection.send(&request).await.unwrap();
            run.push((answer.status, answer.body.contains("AMOUNT")));
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
