//! The commands of the manuals, run as they stand there.

use std::process::Command;

use jixinda_schemas::{MessageId, event::Terminal};
use serde_json::json;

use crate::harness::{
    ALL_IN_ONE, Platform, SOON, eventually,
    world::{World, code_of},
};

/// The block of a manual whose fence says this.
fn block(manual: &str, fence: &str) -> String {
    let path = format!("{}/{manual}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text
        .split_once(&format!("```{fence}\n"))
        .unwrap_or_else(|| panic!("{manual} has no block {fence}"));
    rest.split_once("```").unwrap().0.to_owned()
}

fn shell(script: &str, variables: &[(&str, &str)]) -> String {
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}\n{said}");
    String::from_utf8(done.stdout).unwrap()
}

async fn delivered(platform: &Platform, id: MessageId) {
    let outcome = eventually("the message has its outcome", SOON, async || {
        platform.log.outcomes().remove(&id).ok_or("none")
    })
    .await;
    assert_eq!(outcome.len(), 1);
    assert_eq!(outcome[0].outcome, Terminal::Delivered, "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_manuals_send_messages() {
    let mut platform = Platform::start(World::new(&["good"]), ALL_IN_ONE).await;
    let client = platform.client("all", "shop");

    let curl = block("docs/http-api.md", "sh");
    let (first, rest) = curl.split_once('\n').unwrap();
    assert!(
        first.starts_with("KEY="),
        "the example has changed: {first}"
    );
    let (key, secret, host) = (&client.key, &client.secret, &client.base);
    let answer = shell(rest, &[("KEY", key), ("SECRET", secret), ("HOST", host)]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["status"], "accepted", "{answer}");
    delivered(
        &platform,
        answer["message_id"].as_str().unwrap().parse().unwrap(),
    )
    .await;

    // The template of the examples.
    let variables = json!(["code", "minutes"]);
    let templates = json!({ code_of("login"): { "variables": variables } });
    platform
        .lab_patch("good", &json!({ "templates": templates }))
        .await;
    let template = platform.world.template("login");
    template["body"] = json!("您的验证码是 {code}，{minutes} 分钟内有效。");
    template["variables"] =
        json!([{ "name": "code", "max_length": 6 }, { "name": "minutes", "max_length": 2 }]);
    // The README's template has another name.
    let mut otp = template.clone();
    otp["id"] = json!("otp");
    let templates = platform.world.directory["templates"].as_array_mut();
    templates.unwrap().push(otp);
    platform
        .apply_directory(&platform.world.directory.clone())
        .await;

    let curl = block("README.md", "sh curl-example").replace("http://127.0.0.1:8771", host);
    let answer = shell(&curl, &[("KEY", &format!("{key}.{secret}"))]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    delivered(
        &platform,
        answer["message_id"].as_str().unwrap().parse().unwrap(),
    )
    .await;

    let brokers = platform.kafka.config().brokers.clone();
    let prefix = platform.prefix.clone();
    let place = [("BROKERS", brokers.as_str()), ("PREFIX", prefix.as_str())];
    let (app, number) = ("shop".parse().unwrap(), "+8613800138000".parse().unwrap());
    let id = |key: &str| MessageId::from_idempotency_key(&app, key, 0, &number);
    let example = block("docs/events.md", "sh kcat-example");
    for _ in 0..2 {
        shell(&example, &place);
    }
    delivered(&platform, id("login-20260102-0001")).await;

    platform.world.directory["apps"][0]["direct"] = json!("signed");
    platform
        .apply_directory(&platform.world.directory.clone())
        .await;
    let keys = [
        place[0],
        place[1],
        ("KEY_ID", key.as_str()),
        ("SECRET", secret.as_str()),
    ];
    shell(&block("docs/events.md", "sh kcat-signed"), &keys);
    delivered(&platform, id("login-20260102-0002")).await;
    assert_eq!(platform.calls_for("+8613800138000").len(), 3);
    platform.end().await;
}
