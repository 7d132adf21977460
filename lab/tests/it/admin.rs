use serde_json::json;

use crate::client::{Request, admin, admin_as};
use crate::setup::Setup;

#[tokio::test]
async fn behaviour_changes_at_once_and_the_rest_stays() {
    let setup = Setup::new("", "behaviour.receipt_loss = 0.5").await;
    let lab = setup.at();
    assert_eq!(Request::to("13800138123").code(lab).await, "OK");
    let change = json!({ "behaviour": { "submit_errors": [{ "share": 1.0, "kind": "isv.OUT_OF_SERVICE" }] } });
    let answer = admin(lab, "PATCH", "/lab/accounts/ali", &change.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["behaviour"]["receipt_loss"], 0.5);
    assert_eq!(
        Request::to("13800138123").code(lab).await,
        "isv.OUT_OF_SERVICE"
    );
    let change = json!({ "secrets": ["new"], "behaviour": { "submit_errors": [] } });
    admin(lab, "PATCH", "/lab/accounts/ali", &change.to_string()).await;
    assert_eq!(
        Request::to("13800138123").code(lab).await,
        "SignatureDoesNotMatch"
    );
    let renewed = Request {
        secret: "new".into(),
        ..Request::to("13800138123")
    };
    assert_eq!(renewed.code(lab).await, "OK");
}

#[tokio::test]
async fn a_bad_change_is_refused_with_its_reason_and_changes_nothing() {
    let setup = Setup::new("", "").await;
    for (change, named) in [
        (
            json!({ "behaviour": { "receipt_loss": 1.5 } }),
            "receipt_loss",
        ),
        (json!({ "behaviour": { "latencyy": 1 } }), "latencyy"),
        (json!({ "secret": "x" }), "secret"),
        (json!({ "secrets": [] }), "secrets"),
    ] {
        let answer = admin(
            setup.at(),
            "PATCH",
            "/lab/accounts/ali",
            &change.to_string(),
        )
        .await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.json()["error"].as_str().unwrap().contains(named),
            "{}",
            answer.body
        );
    }
    assert_eq!(Request::to("13800138123").code(setup.at()).await, "OK");
    assert_eq!(
        admin(setup.at(), "PATCH", "/lab/accounts/nobody", "{}")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn an_account_can_be_added_while_the_lab_runs_and_its_secrets_are_never_shown() {
    let setup = Setup::new("", "").await;
    let lab = setup.at();
    let new = json!({
        "id": "second", "access_key_id": "key-2", "secrets": ["hush-hush"],
        "sign_names": ["测试签名"], "templates": { "SMS_1": { "variables": ["code"] } },
    });
    let request = || Request {
        key: "key-2".into(),
        secret: "hush-hush".into(),
        ..Request::to("13800138123")
    };
    assert_eq!(request().code(lab).await, "InvalidAccessKeyId.NotFound");
    let answer = admin(lab, "PUT", "/lab/accounts/second", &new.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(request().code(lab).await, "OK");
    let shown = admin(lab, "GET", "/lab/accounts", "").await;
    assert_eq!(shown.json().as_array().unwrap().len(), 2);
    assert_eq!(shown.json()[1]["secret_count"], 1);
    assert!(!shown.body.contains("hush-hush"));
    let mut taken = new.clone();
    taken["id"] = "third".into();
    let answer = admin(lab, "PUT", "/lab/accounts/third", &taken.to_string()).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn stats_count_calls_by_outcome_and_second() {
    let setup = Setup::new("", "").await;
    let lab = setup.at();
    for number in ["13800138123", "13800138124", "13800130001"] {
        Request::to(number).send(lab).await.unwrap();
    }
    let stats = admin(lab, "GET", "/lab/stats?minutes=1", "").await.json();
    let stats = &stats["accounts"]["ali"];
    assert_eq!(
        (&stats["calls"], &stats["accepted"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(stats["refused"], json!({ "isv.MOBILE_NUMBER_ILLEGAL": 1 }));
    let seconds = stats["per_second"].as_array().unwrap();
    assert_eq!(
        seconds
            .iter()
            .map(|second| second[1].as_u64().unwrap())
            .sum::<u64>(),
        3
    );
}

#[tokio::test]
async fn the_admin_token_is_wanted_if_set() {
    let setup = Setup::new("admin_token = 'let-me'", "").await;
    let lab = setup.at();
    assert_eq!(admin(lab, "GET", "/lab/stats", "").await.status, 401);
    let header = "authorization: Bearer let-me\r\n";
    assert_eq!(
        admin_as(lab, "GET", "/lab/stats", "", header).await.status,
        200
    );
    assert_eq!(
        admin_as(lab, "GET", "/lab/nothing", "", header)
            .await
            .status,
        404
    );
}
