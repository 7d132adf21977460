//! The role as a whole: a Kafka double in front, the real engine behind.

#[path = "engine/child.rs"]
#[allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "shared with the tests of the engine, where it is private"
)]
mod child;
mod events;
mod world;

use clickhouse::{RowOwned, RowWrite};
use jixinda_analytics::{
    ddl, queries,
    rows::{Place, Rows, Table},
};
use jixinda_schemas::{Timestamp, Topic, codec::decode, seal::PlatformKey};
use serde_json::{Value, json};
use uuid::Uuid;

use self::{child::Engine, world::World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_valid_event_is_stored_once_through_stops_and_deaths_of_the_engine() {
    let mut world = World::start().await;
    let message = world.tell_a_life().await;
    let run = world.run().await;
    world.eventually_rows(1).await;

    let status = run.get(&format!("{message}?app=shop")).await;
    assert_eq!(status.0, 200, "{}", status.1);
    assert_eq!(
        (&status.1["status"], &status.1["seq"]),
        (&json!("delivered"), &json!(1))
    );
    assert_eq!(status.1["recipient"], json!("138****8000"));
    let events: Vec<&str> = status.1["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "accepted", "routed", "started", "finished", "outcome", "receipt", "outcome"
        ]
    );
    let decision = run.get(&format!("{message}/decision?app=shop")).await.1;
    assert_eq!(
        decision["decisions"][0]["considered"][1]["gate"],
        json!("breaker")
    );
    assert_eq!(run.get(&format!("{message}?app=other")).await.0, 404);
    assert_eq!(
        run.get(&format!("{}?app=shop", Uuid::now_v7())).await.0,
        404
    );
    assert_eq!(
        run.get_with(&format!("{message}?app=shop"), "wrong")
            .await
            .0,
        401
    );

    // The engine dies: reads say so, and what comes meanwhile is there later.
    world.kill_engine();
    assert_eq!(run.get(&format!("{message}?app=shop")).await.0, 503);
    world.tell_a_life().await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    world.restart_engine().await;
    world.eventually_rows(2).await;
    run.stop().await;

    // A start from the last commit adds nothing that is there.
    world.tell_a_life().await;
    let run = world.run().await;
    world.eventually_rows(3).await;
    run.stop().await;
    let columns = "topic, partition, offset";
    for table in ["routings", "attempts", "receipts", "dead_letters"] {
        let twice = format!(
            "SELECT count() FROM (SELECT {columns} FROM jx.{table} GROUP BY {columns} HAVING count() > 1)"
        );
        assert_eq!(world.sql(&twice).await, "0\n", "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_unknown_fate_is_sent_again_and_only_what_is_missing_is_added() {
    let world = World::start().await;
    world.tell_a_life().await;
    let run = world.run().await;
    world.eventually_rows(1).await;
    run.stop().await;
    let end: i64 = world
        .sql("SELECT max(offset) FROM jx.attempts")
        .await
        .trim()
        .parse()
        .unwrap();

    // As after a death between the insert and the next commit.
    world.commit(
        Topic::Attempts,
        0,
        &format!(r#"{{"pending":[0,{end}],"writers":{{}}}}"#),
    );
    let run = world.run().await;
    world.settle(Topic::Attempts, end + 1).await;
    run.stop().await;
    world.eventually_rows(1).await;

    // As after a death of the engine between its log of tokens and the part: one row is lost, the token is known.
    let gone =
        format!("ALTER TABLE jx.attempts DELETE WHERE offset = {end} SETTINGS mutations_sync = 2");
    world.sql(&gone).await;
    world.commit(
        Topic::Attempts,
        0,
        &format!(r#"{{"pending":[0,{end}],"writers":{{}}}}"#),
    );
    let run = world.run().await;
    world.settle(Topic::Attempts, end + 1).await;
    world.eventually_rows(1).await;
    run.stop().await;
}

#[tokio::test]
async fn every_row_fits_its_table_by_name_and_type() {
    let engine = Engine::start().await;
    ddl::apply(&world::config(&engine.url), Uuid::now_v7())
        .await
        .unwrap();
    let key = PlatformKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    // The client compares each row with the table when told to.
    let client = engine
        .crate_client()
        .with_database("jx")
        .with_validation(true);
    for record in events::life(0).1 {
        let mut rows = Rows::new(Table::of(record.topic).unwrap());
        let Ok(event) = decode(None, record.value.as_deref().unwrap()) else {
            continue;
        };
        let place = Place {
            topic: record.topic,
            partition: 0,
            offset: 1,
            at: Timestamp(events::START),
        };
        if rows.add(&event, place, &key).is_err() {
            continue;
        }
        match &rows {
            Rows::Routings(list) => insert(&client, "routings", list).await,
            Rows::Attempts(list) => insert(&client, "attempts", list).await,
            Rows::Receipts(list) => insert(&client, "receipts", list).await,
            Rows::Outcomes(list) => insert(&client, "outcomes", list).await,
            Rows::DeadLetters(list) => insert(&client, "dead_letters", list).await,
        }
    }
    for table in Table::ALL {
        assert_ne!(
            engine
                .sql(&format!("SELECT count() FROM jx.{}", table.name()))
                .await,
            "0\n",
            "{}",
            table.name()
        );
    }
}

async fn insert<R: RowOwned + RowWrite>(client: &clickhouse::Client, table: &str, rows: &[R]) {
    let mut insert = client.insert::<R>(table).await.unwrap();
    for row in rows {
        insert.write(row).await.unwrap();
    }
    insert.end().await.unwrap();
}

#[tokio::test]
async fn a_database_of_another_log_is_refused() {
    let engine = Engine::start().await;
    let config = world::config(&engine.url);
    let log = Uuid::now_v7();
    ddl::apply(&config, log).await.unwrap();
    ddl::apply(&config, log).await.unwrap();
    let error = ddl::apply(&config, Uuid::now_v7()).await.unwrap_err();
    assert!(
        !error.is_transient() && error.to_string().contains(&log.to_string()),
        "{error}"
    );
    engine
        .sql("ALTER TABLE jx.receipts MODIFY SETTING non_replicated_deduplication_window = 10")
        .await;
    let error = ddl::apply(&config, log).await.unwrap_err().to_string();
    assert!(error.contains("ALTER TABLE receipts"), "{error}");
    engine
        .sql("ALTER TABLE jx.receipts MODIFY SETTING non_replicated_deduplication_window = 10000")
        .await;
    let longer = jixinda_analytics::Config {
        retention_days: 500,
        ..config
    };
    ddl::apply(&longer, log).await.unwrap();
    assert!(
        engine
            .sql("SHOW CREATE TABLE jx.outcomes")
            .await
            .contains("toIntervalDay(500)")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_runs_and_counts_a_corrected_message_once() {
    let world = World::start().await;
    world.tell_a_life().await;
    let run = world.run().await;
    world.eventually_rows(1).await;
    run.stop().await;
    let config = world::config(&world.url());
    // The double of Kafka stamps records with the time of this test.
    let params = [
        ("from", "2026-01-01 00:00:00"),
        ("to", "2100-01-01 00:00:00"),
    ];
    let params: Vec<(String, String)> = params
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    for query in queries::list() {
        queries::run(&config, query.name, &[], Timestamp(events::START))
            .await
            .unwrap();
        queries::run(&config, query.name, &params, Timestamp(0))
            .await
            .unwrap_or_else(|e| panic!("{}", jixinda_runtime::telemetry::with_causes(&e)));
    }
    let ask = async |name: &str| {
        queries::run(&config, name, &params, Timestamp(0))
            .await
            .unwrap()
            .rows
    };
    let rows = ask("outcomes").await;
    assert_eq!(rows[0][..2], [json!("otp"), json!("delivered")], "{rows:?}");
    assert_eq!((number(&rows[0][2]), rows.len()), (1.0, 1));
    let rows = ask("delivery_by_channel").await;
    assert_eq!(
        (&rows[0][0], number(&rows[0][3]), number(&rows[0][4])),
        (&json!("channel-1"), 1.0, 1.0),
        "{rows:?}"
    );
    assert_eq!(ask("channel_share").await[0][3], json!(1));
    let rows = ask("latency_by_channel").await;
    assert_eq!(rows[0][2], json!([30, 30, 30, 30]), "{rows:?}");
    let wrong = vec![("nosuch".to_owned(), "1".to_owned())];
    assert!(
        queries::run(&config, "volume", &wrong, Timestamp(0))
            .await
            .is_err()
    );

    // The rollups answer them: with the setting ClickHouse refuses a query that no projection serves.
    for name in [
        "volume",
        "outcomes",
        "latency_by_channel",
        "vendor_latency",
        "vendor_errors",
        "channel_share",
    ] {
        let sql = queries::find(name).unwrap().sql;
        let mut ask = world
            .engine()
            .crate_client()
            .with_database("jx")
            .with_setting("force_optimize_projection", "1");
        for (key, value) in params
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .chain([("limit", "5"), ("zone", "UTC")])
        {
            ask = ask.with_setting(format!("param_{key}"), value);
        }
        let answer = ask
            .query_raw(sql)
            .fetch_bytes("JSONCompact")
            .unwrap()
            .collect()
            .await;
        answer.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap()
}
