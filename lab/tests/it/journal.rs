use std::io::Write;

use jixinda_lab::journal::{self, Entry, Outcome};
use jixinda_lab::{Config, Lab};

use crate::client::Request;
use crate::setup::{Setup, eventually};

#[tokio::test]
async fn a_call_reads_back_as_it_was_and_without_secrets() {
    let setup = Setup::new("", "").await;
    let request = Request::to("13800138123,+8613800138124").with("OutId", "echo-7");
    let answer = request.send(setup.at()).await.unwrap();
    eventually("it is written", || async { setup.calls().len() == 1 }).await;
    let call = setup.calls().remove(0);
    assert_eq!(call.account.as_deref(), Some("ali"));
    assert_eq!(call.recipients, ["+8613800138123", "+8613800138124"]);
    assert_eq!(call.out_id.as_deref(), Some("echo-7"));
    assert_eq!(call.template_code.as_deref(), Some("SMS_1"));
    assert_eq!(call.sign_name.as_deref(), Some("测试签名"));
    assert_eq!(call.params.unwrap()["code"], "123456");
    let biz_id = answer.json()["BizId"].as_str().unwrap().to_owned();
    assert_eq!(call.outcome, Outcome::Accepted { biz_id });
    let text = std::fs::read_to_string(setup.directory.path().join("journal.jsonl")).unwrap();
    assert!(
        text.contains(r#""kind":"call""#) && text.contains(r#""answered":"ok""#),
        "{text}"
    );
    assert!(!text.contains("lab-secret") && !text.to_lowercase().contains("signature="));
}

#[tokio::test]
async fn with_journal_sync_the_line_is_there_before_the_answer() {
    let setup = Setup::new("journal_sync = true", "").await;
    for count in 1..=20 {
        assert_eq!(Request::to("13800138123").code(setup.at()).await, "OK");
        assert_eq!(setup.calls().len(), count);
    }
}

#[tokio::test]
async fn a_torn_last_line_is_skipped_by_the_reader_and_cut_by_the_next_run() {
    let setup = Setup::new("", "").await;
    let path = setup.directory.path().join("journal.jsonl");
    for _ in 0..3 {
        assert_eq!(Request::to("13800138123").code(setup.at()).await, "OK");
    }
    setup.lab.stop().await.unwrap();
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(br#"{"kind":"call","at_m"#).unwrap();
    let mut entries = journal::read(&path).unwrap();
    assert_eq!(entries.by_ref().map(Result::unwrap).count(), 3);
    assert_eq!(entries.torn_bytes(), 20);

    let mut config = Config::new(&path);
    config.listen.set_port(0);
    Lab::start(config).await.unwrap().stop().await.unwrap();
    let mut entries = journal::read(&path).unwrap();
    assert!(
        entries
            .by_ref()
            .all(|entry| matches!(entry, Ok(Entry::Call(_))))
    );
    assert_eq!(entries.torn_bytes(), 0);
}

#[tokio::test]
async fn stopping_writes_out_every_line_and_ends_hanging_calls() {
    let setup = Setup::new("", "").await;
    let lab = setup.at();
    let hanging = tokio::spawn(async move { Request::to("13800130005").send(lab).await });
    eventually("it hangs", || async { setup.calls().len() == 1 }).await;
    assert_eq!(Request::to("13800138123").code(lab).await, "OK");
    setup.lab.stop().await.unwrap();
    assert!(hanging.await.unwrap().is_err());
    let path = setup.directory.path().join("journal.jsonl");
    assert_eq!(journal::read(path).unwrap().count(), 2);
}
