-- One row for each valid receipt that was joined with its attempt.
CREATE TABLE IF NOT EXISTS receipts
(
    message_id  UUID,
    app         LowCardinality(String),
    n           UInt16,
    attempt_id  UUID,
    channel     LowCardinality(String),
    status      LowCardinality(String),
    code        String CODEC(ZSTD(1)),
    vendor_id   String CODEC(ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    vendor_at   Nullable(DateTime64(3, 'UTC')),
    topic       LowCardinality(String),
    partition   Int32,
    offset      Int64 CODEC(Delta, ZSTD(1)),
    logged_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),

    INDEX by_offset offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(logged_at, '{{zone}}')
ORDER BY (message_id, n, offset)
TTL toDateTime(logged_at) + INTERVAL {{retention_days}} DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
