use super::child::{Engine, INGEST, READER};

#[tokio::test]
async fn the_reader_can_only_read_and_nobody_reaches_the_host() {
    let engine = Engine::start().await;
    engine
        .sql("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        .await;
    for sql in [
        "CREATE TABLE x (a UInt64) ENGINE = Memory",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1",
        "DROP TABLE t",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1', system.one)",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 1000",
        "ALTER TABLE t DELETE WHERE 1",
        "KILL QUERY WHERE 1",
    ] {
        let answer = engine.post_as(READER, &[], sql).await;
        assert!(
            [Some(164), Some(392)].contains(&answer.code),
            "{sql}: {answer:?}"
        );
    }
    assert_eq!(
        engine
            .post_as(READER, &[("query", "INSERT INTO t FORMAT TSV")], "1")
            .await
            .code,
        Some(164)
    );
    assert_eq!(
        engine
            .get_as(READER, &[("query", "SELECT 1"), ("readonly", "0")])
            .await
            .code,
        Some(164)
    );
    for sql in [
        "SELECT file('/etc/passwd')",
        "SELECT `fi\\x6ce`('/etc/passwd')",
        "SELECT * FROM file('/etc/passwd', LineAsString)",
        "DESCRIBE file('/etc/passwd')",
        "DESCRIBE TABLE url('http://127.0.0.1:1/')",
        "SELECT * FROM (DESCRIBE url('http://127.0.0.1:1/'))",
        "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
        "SELECT 1 INTO OUTFILE '/tmp/jixinda-outfile'",
        "INSERT INTO FUNCTION null('a UInt8') SELECT 1",
        "SET max_threads = 1",
        "USE system",
        "SYSTEM FLUSH LOGS",
    ] {
        for user in [INGEST, READER] {
            let answer = engine.post_as(user, &[], sql).await;
            assert!(
                answer.status != 200 && !answer.body.contains("root:"),
                "{sql}: {answer:?}"
            );
        }
    }
    assert!(!std::path::Path::new("/tmp/jixinda-outfile").exists());
    let template = [
        ("query", "SELECT 1 FORMAT Template"),
        ("format_template_resultset", "/etc/passwd"),
    ];
    assert_ne!(engine.get_as(READER, &template).await.status, 200);
    assert_eq!(engine.sql("SELECT count() FROM t").await, "0\n");
    assert_eq!(
        engine
            .get_as(INGEST, &[("query", "INSERT INTO t SELECT 1")])
            .await
            .code,
        Some(164)
    );
}

#[tokio::test]
async fn parameters_and_settings_are_values_and_never_text() {
    let engine = Engine::start().await;
    let evil = "x'), (SELECT 2";
    let answer = engine
        .get_as(READER, &[("query", "SELECT {a:String}"), ("param_a", evil)])
        .await;
    assert_eq!(answer.body, "x\\'), (SELECT 2\n");
    let answer = engine
        .get_as(
            READER,
            &[("query", "SELECT {a:UInt8}"), ("param_a", "1, 2")],
        )
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let comment = [
        (
            "query",
            "SELECT getSetting('log_comment'), getSetting('readonly')",
        ),
        ("log_comment", "a', readonly = '0"),
    ];
    assert_eq!(
        engine.get_as(READER, &comment).await.body,
        "a\\', readonly = \\'0\t1\n"
    );
    let name = engine
        .get_as(
            READER,
            &[("query", "SELECT 1"), ("max_threads = 1, readonly", "0")],
        )
        .await;
    assert_eq!(name.status, 400);
    let database = engine
        .get_as(
            READER,
            &[
                ("query", "SELECT 1"),
                ("database", "default`; DROP TABLE t --"),
            ],
        )
        .await;
    assert_eq!(database.code, Some(81));
}

#[tokio::test]
async fn a_user_is_known_by_each_of_the_three_ways_and_others_are_turned_away() {
    let engine = Engine::start().await;
    let url = engine.address(&[
        ("query", "SELECT 1"),
        ("user", READER.0),
        ("password", READER.1),
    ]);
    assert_eq!(engine.send(engine.client().get(url)).await.status, 200);
    let named = |key: &str| {
        let url = engine.address(&[("query", "SELECT 1")]);
        engine
            .client()
            .get(url)
            .header("X-ClickHouse-User", READER.0)
            .header("X-ClickHouse-Key", key.to_owned())
    };
    assert_eq!(engine.send(named(READER.1)).await.status, 200);
    let wrong = engine.send(named("wrong")).await;
    assert_eq!((wrong.status, wrong.code), (403, Some(516)));
    let crossed = engine
        .get_as((READER.0, INGEST.1), &[("query", "SELECT 1")])
        .await;
    assert_eq!((crossed.status, crossed.code), (403, Some(516)));
    let nobody = engine
        .send(
            engine
                .client()
                .get(engine.address(&[("query", "SELECT 1")])),
        )
        .await;
    assert_eq!((nobody.status, nobody.code), (401, Some(194)));
    assert!(nobody.headers.contains_key("www-authenticate"));
}
