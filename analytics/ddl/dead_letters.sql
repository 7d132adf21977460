-- Records that could not be handled. Their values stay in Kafka.
CREATE TABLE IF NOT EXISTS dead_letters
(
    event_id         UUID,
    app              LowCardinality(String),
    reason           LowCardinality(String),
    step             LowCardinality(String),
    channel          LowCardinality(String),
    source_topic     LowCardinality(String),
    source_partition Int32,
    source_offset    Int64,
    at               DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic            LowCardinality(String),
    partition        Int32,
    offset           Int64 CODEC(Delta, ZSTD(1)),
    logged_at        DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),

    INDEX by_offset offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(logged_at, '{{zone}}')
ORDER BY (logged_at, reason)
TTL toDateTime(logged_at) + INTERVAL {{retention_days}} DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
