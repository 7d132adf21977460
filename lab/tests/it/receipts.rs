use std::collections::BTreeSet;

use jixinda_lab::journal::Pushed;
use serde_json::Value;

use crate::client::{Request, admin};
use crate::receiver::{ACK, Receiver, url};
use crate::setup::{Setup, eventually};

fn text(item: &Value, name: &str) -> String {
    item[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {item}"))
        .to_owned()
}

#[tokio::test]
async fn a_receipt_has_the_documented_form() {
    let (receiver, address) = Receiver::start(&[]).await;
    let setup = Setup::new("", &url(address)).await;
    let request = Request::to("+8613800138123")
        .with("OutId", "msg-1")
        .with("TemplateCode", "SMS_2");
    let biz_id = text(&request.send(setup.at()).await.unwrap().json(), "BizId");
    eventually("it is pushed", || async { receiver.items().len() == 1 }).await;
    let item = receiver.items().remove(0);
    assert_eq!(text(&item, "phone_number"), "13800138123");
    assert_eq!(text(&item, "err_code"), "DELIVERED");
    assert_eq!(text(&item, "err_msg"), "用户接收成功");
    assert_eq!(text(&item, "sms_size"), "2");
    assert_eq!(text(&item, "out_id"), "msg-1");
    assert_eq!(text(&item, "biz_id"), biz_id);
    assert_eq!(item["success"], true);
    for name in ["send_time", "report_time"] {
        assert_eq!(text(&item, name).len(), "2025-01-02 11:04:05".len());
    }
    assert_eq!(item.as_object().unwrap().len(), 9);
    eventually("it is journalled", || async { setup.receipts().len() == 1 }).await;
    let receipt = setup.receipts().remove(0);
    assert_eq!(
        (receipt.recipient.as_str(), receipt.attempt),
        ("+8613800138123", 1)
    );
    assert_eq!((receipt.pushed, receipt.biz_id), (Pushed::Acked, biz_id));
}

#[tokio::test]
async fn a_push_without_acknowledgement_is_retried_three_times_at_most() {
    let bad = [(500, ACK), (200, "ok"), (200, r#"{"code":"0"}"#), (503, "")];
    for (answers, wanted, last) in [
        (&bad[..3], 4, Pushed::Acked),
        (&bad[..], 4, Pushed::Rejected { status: 503 }),
        (&bad[..1], 2, Pushed::Acked),
    ] {
        let (receiver, address) = Receiver::start(answers).await;
        let setup = Setup::new("receipt_retry_scale = 0.0005", &url(address)).await;
        assert_eq!(Request::to("13800138123").code(setup.at()).await, "OK");
        eventually("all attempts", || async {
            setup.receipts().len() == wanted
        })
        .await;
        eventually("nothing waits", || async {
            let stats = admin(setup.at(), "GET", "/lab/stats", "").await.json();
            stats["accounts"]["ali"]["receipts_waiting"] == 0
        })
        .await;
        assert_eq!(receiver.pushes().len(), wanted);
        let journal = setup.receipts();
        let attempts: Vec<_> = journal.iter().map(|receipt| receipt.attempt).collect();
        assert_eq!(attempts, (1..=wanted as u32).collect::<Vec<_>>());
        assert_eq!(journal[wanted - 1].pushed, last);
    }
}

#[tokio::test]
async fn magic_numbers_force_the_receipt() {
    let (receiver, address) = Receiver::start(&[]).await;
    let setup = Setup::new("", &url(address)).await;
    let numbers = "13800130003,13800130004,13800130006,13800138123";
    assert_eq!(Request::to(numbers).code(setup.at()).await, "OK");
    eventually("four receipts", || async { receiver.items().len() == 4 }).await;
    let of = |number: &str| -> Vec<String> {
        let items = receiver.items();
        let mine = items
            .iter()
            .filter(|item| text(item, "phone_number") == number);
        mine.map(|item| text(item, "err_code")).collect()
    };
    assert_eq!(of("13800130003"), ["MOBILE_NOT_ON_SERVICE"]);
    assert_eq!(of("13800130006"), ["DELIVERED", "DELIVERED"]);
    assert_eq!(of("13800138123"), ["DELIVERED"]);
    eventually("five lines", || async { setup.receipts().len() == 5 }).await;
    let lost: Vec<_> = setup
        .receipts()
        .into_iter()
        .filter(|receipt| receipt.pushed == Pushed::Lost)
        .collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(
        (lost[0].recipient.as_str(), lost[0].attempt),
        ("+8613800130004", 0)
    );
    assert_eq!(
        setup
            .receipts()
            .iter()
            .filter(|receipt| receipt.duplicate)
            .count(),
        1
    );
}

#[tokio::test]
async fn an_early_receipt_is_there_before_the_answer() {
    let (receiver, address) = Receiver::start(&[]).await;
    let delay = "behaviour.receipt_delay = { mean = '1h' }";
    let setup = Setup::new("", &format!("{}{delay}", url(address))).await;
    let answer = Request::to("13800130007").send(setup.at()).await.unwrap();
    let items = receiver.items();
    assert_eq!(items.len(), 1);
    assert_eq!(text(&items[0], "biz_id"), text(&answer.json(), "BizId"));
}

#[tokio::test]
async fn loss_and_duplicates_follow_the_seed_and_batches_hold_up_to_a_hundred() {
    let mut runs = Vec::new();
    for seed in ["seed = 1", "seed = 1", "seed = 2"] {
        let (receiver, address) = Receiver::start(&[]).await;
        let mix = "behaviour.receipt_loss = 0.2\nbehaviour.receipt_duplicates = 0.3\n
            behaviour.receipt_failures = [{ share = 0.25, code = 'SP_UNKNOWN_ERROR' }]\n";
        let setup = Setup::new(seed, &format!("{}{mix}", url(address))).await;
        let numbers: Vec<_> = (0..400)
            .map(|n| format!("1390013{:04}", 5000 + n))
            .collect();
        assert_eq!(Request::to(&numbers.join(",")).code(setup.at()).await, "OK");
        admin(setup.at(), "POST", "/lab/receipts/flush", "").await;
        let mut seen: Vec<_> = receiver
            .items()
            .iter()
            .map(|item| (text(item, "phone_number"), text(item, "err_code")))
            .collect();
        seen.sort();
        assert!(receiver.pushes().iter().all(|push| push.len() <= 100));
        assert!(receiver.pushes().len() < 20, "{}", receiver.pushes().len());
        let distinct: BTreeSet<_> = seen.iter().map(|(number, _)| number.clone()).collect();
        assert!((280..360).contains(&distinct.len()), "{}", distinct.len());
        assert!(
            (50..150).contains(&(seen.len() - distinct.len())),
            "{}",
            seen.len()
        );
        runs.push(seen);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn flush_pushes_what_would_wait_for_hours() {
    let (receiver, address) = Receiver::start(&[]).await;
    let delay = "behaviour.receipt_delay = { mean = '3h', jitter = '1h' }";
    let setup = Setup::new("", &format!("{}{delay}", url(address))).await;
    assert_eq!(Request::to("13800138123").code(setup.at()).await, "OK");
    assert!(receiver.items().is_empty());
    let answer = admin(setup.at(), "POST", "/lab/receipts/flush", "")
        .await
        .json();
    assert_eq!(
        (answer["flushed"].clone(), answer["waiting"].clone()),
        (1.into(), 0.into())
    );
    assert_eq!(receiver.items().len(), 1);
}
