-- How messages ended. An outcome is one row with delta +1; a correction is two: -1 with the old fields, +1 with the
-- new. Counts and sums are sum(delta * ...); the newest state of a message is its row of the highest seq with delta 1.
-- Channel, vendor, code and the times are those of the attempt that decided; cost and segments are of all attempts.
CREATE TABLE IF NOT EXISTS outcomes
(
    message_id        UUID,
    app               LowCardinality(String),
    seq               UInt32,
    delta             Int8,
    outcome           LowCardinality(String),
    reason            LowCardinality(String),
    detail            String CODEC(ZSTD(1)),
    lane              LowCardinality(String),
    template          LowCardinality(String),
    signature         LowCardinality(String),
    campaign          String CODEC(ZSTD(1)),
    redrive_of        Nullable(UUID),
    carrier           LowCardinality(String),
    region            LowCardinality(String),
    phone_hash        String CODEC(ZSTD(1)),
    phone_masked      String CODEC(ZSTD(1)),
    channel           LowCardinality(String),
    vendor            LowCardinality(String),
    code              String CODEC(ZSTD(1)),
    segments          UInt32,
    cost_micros       UInt64,
    attempts          UInt16,
    first_channel     LowCardinality(String),
    accepted_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    first_routed_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    routed_at         Nullable(DateTime64(3, 'UTC')),
    submitted_at      Nullable(DateTime64(3, 'UTC')),
    receipt_at        Nullable(DateTime64(3, 'UTC')),
    ended_at          DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    submit_ms         Nullable(UInt32),
    handset_ms        Nullable(UInt32),
    receipt_ms        Nullable(UInt32),
    request_topic     LowCardinality(String),
    request_partition Int32,
    request_offset    Int64 CODEC(Delta, ZSTD(1)),
    topic             LowCardinality(String),
    partition         Int32,
    offset            Int64 CODEC(Delta, ZSTD(1)),
    logged_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),

    INDEX by_offset offset TYPE minmax GRANULARITY 1,

    -- By minute of acceptance. submit_ms and handset_ms run from acceptance, receipt_ms from the vendor call.
    PROJECTION per_minute
    (
        SELECT
            toStartOfMinute(accepted_at),
            channel,
            app,
            template,
            lane,
            outcome,
            sum(delta),
            sum(delta * segments),
            sum(delta * cost_micros),
            quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(submit_ms, delta = 1 AND outcome = 'delivered'),
            quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(handset_ms, delta = 1 AND outcome = 'delivered'),
            quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(receipt_ms, delta = 1 AND outcome = 'delivered')
        GROUP BY
            toStartOfMinute(accepted_at),
            channel,
            app,
            template,
            lane,
            outcome
    ),

    -- By five seconds of the first decision: with the first decisions in `routings` it gives the resolved share.
    PROJECTION resolved
    (
        SELECT
            toStartOfInterval(first_routed_at, INTERVAL 5 SECOND),
            first_channel,
            app,
            template,
            lane,
            sum(delta)
        GROUP BY
            toStartOfInterval(first_routed_at, INTERVAL 5 SECOND),
            first_channel,
            app,
            template,
            lane
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(accepted_at, '{{zone}}')
ORDER BY (message_id, seq, delta)
TTL toDateTime(accepted_at) + INTERVAL {{retention_days}} DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
