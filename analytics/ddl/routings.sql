-- One row for each valid decision: the channel, and every other channel with what spoke against it.
CREATE TABLE IF NOT EXISTS routings
(
    message_id        UUID,
    app               LowCardinality(String),
    n                 UInt16,
    attempt_id        UUID,
    request_topic     LowCardinality(String),
    request_partition Int32,
    request_offset    Int64 CODEC(Delta, ZSTD(1)),
    lane              LowCardinality(String),
    channel           LowCardinality(String),
    vendor            LowCardinality(String),
    pool              LowCardinality(String),
    template          LowCardinality(String),
    signature         LowCardinality(String),
    carrier           LowCardinality(String),
    region            LowCardinality(String),
    phone_hash        String CODEC(ZSTD(1)),
    phone_masked      String CODEC(ZSTD(1)),
    segments          UInt32,
    price_micros      UInt64,
    not_after         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    decided_at        DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    directory_offset  Int64 CODEC(Delta, ZSTD(1)),
    health_offset     Int64 CODEC(Delta, ZSTD(1)),
    seed              UInt64,
    considered        String CODEC(ZSTD(1)),
    topic             LowCardinality(String),
    partition         Int32,
    offset            Int64 CODEC(Delta, ZSTD(1)),
    logged_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),

    INDEX by_offset offset TYPE minmax GRANULARITY 1,

    -- Share of the channels in five-second steps. `first` counts messages, not decisions.
    PROJECTION per_five_seconds
    (
        SELECT
            toStartOfInterval(decided_at, INTERVAL 5 SECOND),
            channel,
            app,
            template,
            lane,
            count(),
            countIf(n = 1)
        GROUP BY
            toStartOfInterval(decided_at, INTERVAL 5 SECOND),
            channel,
            app,
            template,
            lane
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(decided_at, '{{zone}}')
ORDER BY (message_id, n)
TTL toDateTime(decided_at) + INTERVAL {{retention_days}} DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
