use std::time::Duration;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::child::{Engine, INGEST, READER};

#[derive(Debug, PartialEq, Row, Serialize, Deserialize)]
struct Line {
    id: u64,
    text: String,
}

const TABLE: &str = "CREATE TABLE lines (id UInt64, text String) ENGINE = MergeTree ORDER BY id \
    SETTINGS non_replicated_deduplication_window = 10000";

#[tokio::test]
async fn the_clickhouse_crate_inserts_and_selects() {
    let engine = Engine::start().await;
    let client = engine.crate_client();
    client.query(TABLE).execute().await.unwrap();
    let mut insert = client.insert::<Line>("lines").await.unwrap();
    for id in 0..1000 {
        insert
            .write(&Line {
                id,
                text: format!("line\n\n{id}"),
            })
            .await
            .unwrap();
    }
    insert.end().await.unwrap();
    let one = client
        .query("SELECT ?fields FROM lines WHERE id = ?")
        .bind(7)
        .fetch_one::<Line>()
        .await
        .unwrap();
    assert_eq!(
        one,
        Line {
            id: 7,
            text: "line\n\n7".into()
        }
    );
    let named = client
        .query("SELECT count() FROM lines WHERE id < {top:UInt64}")
        .param("top", 10);
    assert_eq!(named.fetch_one::<u64>().await.unwrap(), 10);
    let error = client
        .query("SELECT id FROM nosuch")
        .fetch_all::<u64>()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("Code: 60"), "{error}");
    let inline = engine
        .post_as(
            INGEST,
            &[],
            "INSERT INTO lines VALUES (5000, 'a'), (5001, 'b;')",
        )
        .await;
    assert_eq!(inline.status, 200, "{}", inline.body);
    assert!(
        inline.headers["x-clickhouse-summary"]
            .to_str()
            .unwrap()
            .contains("\"written_rows\":\"2\"")
    );
    assert_eq!(engine.sql("SELECT count() FROM lines").await, "1002\n");
}

#[tokio::test]
async fn a_token_inserts_once_and_does_not_reach_the_next_insert() {
    let engine = Engine::start().await;
    engine.sql(TABLE).await;
    let known = "SELECT count() FROM system.settings WHERE name = 'deduplicate_insert'";
    let known = engine.sql(known).await == "1\n";
    let insert = async |token: Option<&str>, rows: &str| {
        let mut params = vec![
            ("query", "INSERT INTO lines FORMAT TSV"),
            ("async_insert", "0"),
            ("insert_deduplicate", "1"),
        ];
        if known {
            params.push(("deduplicate_insert", "enable"));
        }
        params.extend(token.map(|token| ("insert_deduplication_token", token)));
        let answer = engine.post_as(INGEST, &params, rows.to_owned()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        engine
            .sql("SELECT count() FROM lines")
            .await
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    assert_eq!(insert(Some("log:topic:0:0-1"), "1\ta\n2\tb\n").await, 2);
    assert_eq!(insert(Some("log:topic:0:0-1"), "1\ta\n2\tb\n").await, 2);
    assert_eq!(insert(Some("log:topic:0:0-1"), "3\tc\n").await, 2);
    assert_eq!(insert(Some("log:topic:0:2-3"), "1\ta\n2\tb\n").await, 4);
    assert_eq!(insert(None, "5\te\n").await, 5);
    assert_eq!(insert(None, "6\tf\n").await, 6);
}

#[tokio::test]
async fn rows_that_do_not_parse_insert_nothing() {
    let engine = Engine::start().await;
    engine.sql(TABLE).await;
    let bad = engine
        .post_as(
            INGEST,
            &[("query", "INSERT INTO lines FORMAT TSV")],
            "1\ta\nx\ty\n",
        )
        .await;
    assert_eq!((bad.code, bad.status), (Some(27), 400), "{}", bad.body);
    let cut = engine
        .post_as(
            INGEST,
            &[("query", "INSERT INTO lines FORMAT RowBinary")],
            vec![0; 3],
        )
        .await;
    assert_eq!(cut.code, Some(33), "{}", cut.body);
    assert_eq!(engine.sql("SELECT count() FROM lines").await, "0\n");
}

#[tokio::test]
async fn every_acknowledged_row_survives_kill_9() {
    let mut dir = tempfile::tempdir().unwrap();
    let mut acked = 0_u64;
    for round in 0..3 {
        let engine = Engine::with(dir, json!({})).await;
        if round == 0 {
            engine.sql(TABLE).await;
        }
        let found: u64 = engine
            .sql("SELECT countDistinct(id) FROM lines")
            .await
            .trim()
            .parse()
            .unwrap();
        assert!(found >= acked, "{found} rows, {acked} acknowledged");
        let (sender, mut receiver) = tokio::sync::mpsc::channel(10_000);
        let client = engine.crate_client();
        let writer = tokio::spawn(async move {
            for batch in 0_u64.. {
                let Ok(mut insert) = client.insert::<Line>("lines").await else {
                    return;
                };
                for row in 0..500 {
                    let id = round * 100_000_000 + batch * 500 + row;
                    if insert
                        .write(&Line {
                            id,
                            text: "x".repeat(50),
                        })
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                if insert.end().await.is_err() || sender.send(500).await.is_err() {
                    return;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        dir = engine.kill();
        writer.await.unwrap();
        while let Some(rows) = receiver.recv().await {
            acked += rows;
        }
        assert!(acked > 500 * round);
    }
    let engine = Engine::with(dir, json!({})).await;
    let found: u64 = engine
        .sql("SELECT countDistinct(id) FROM lines")
        .await
        .trim()
        .parse()
        .unwrap();
    assert!(found >= acked, "{found} rows, {acked} acknowledged");
}

#[tokio::test]
async fn reads_go_on_while_rows_are_inserted() {
    let engine = Engine::start().await;
    engine.sql(TABLE).await;
    let insert = async {
        for batch in 0..50 {
            let rows: String = (0..1000)
                .map(|row| format!("{}\tx\n", batch * 1000 + row))
                .collect();
            let answer = engine
                .post_as(INGEST, &[("query", "INSERT INTO lines FORMAT TSV")], rows)
                .await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    };
    let read = async {
        for _ in 0..50 {
            let answer = engine
                .post_as(READER, &[], "SELECT count() % 1000 FROM lines")
                .await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "0\n"));
        }
    };
    tokio::join!(insert, read);
    assert_eq!(engine.sql("SELECT count() FROM lines").await, "50000\n");
}
