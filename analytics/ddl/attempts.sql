-- One row for each valid claim, each valid `not_started`, and each result.
-- A result counts when its claim does: join `finished` rows with the `started` row of lowest offset of the same
-- (message_id, n) and call_id.
CREATE TABLE IF NOT EXISTS attempts
(
    message_id     UUID,
    app            LowCardinality(String),
    n              UInt16,
    attempt_id     UUID,
    kind           LowCardinality(String),
    lane           LowCardinality(String),
    channel        LowCardinality(String),
    vendor         LowCardinality(String),
    call_id        UInt64,
    result         LowCardinality(String),
    cause          LowCardinality(String),
    disposition    LowCardinality(String),
    blame          LowCardinality(String),
    vendor_code    String CODEC(ZSTD(1)),
    vendor_id      String CODEC(ZSTD(1)),
    detail         String CODEC(ZSTD(1)),
    retry_after_ms Nullable(UInt32),
    started_at     Nullable(DateTime64(3, 'UTC')),
    submitted_at   Nullable(DateTime64(3, 'UTC')),
    elapsed_ms     Nullable(UInt32),
    at             DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic          LowCardinality(String),
    partition      Int32,
    offset         Int64 CODEC(Delta, ZSTD(1)),
    logged_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),

    INDEX by_offset offset TYPE minmax GRANULARITY 1,

    PROJECTION per_minute
    (
        SELECT
            toStartOfMinute(logged_at),
            channel,
            lane,
            kind,
            result,
            cause,
            blame,
            vendor_code,
            count(),
            quantilesTDigest(0.5, 0.9, 0.99)(elapsed_ms)
        GROUP BY
            toStartOfMinute(logged_at),
            channel,
            lane,
            kind,
            result,
            cause,
            blame,
            vendor_code
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(logged_at, '{{zone}}')
ORDER BY (message_id, n, offset)
TTL toDateTime(logged_at) + INTERVAL {{retention_days}} DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
