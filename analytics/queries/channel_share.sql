-- Share of each channel in the decisions, in steps of five seconds.
SELECT
    toTimeZone(toStartOfInterval(decided_at, INTERVAL 5 SECOND), {zone:String}) AS time,
    channel,
    count() AS decisions,
    round(decisions / sum(decisions) OVER (PARTITION BY time), 4) AS share
FROM routings
WHERE toStartOfInterval(decided_at, INTERVAL 5 SECOND) >= {from:DateTime('UTC')}
    AND toStartOfInterval(decided_at, INTERVAL 5 SECOND) < {to:DateTime('UTC')}
GROUP BY toStartOfInterval(decided_at, INTERVAL 5 SECOND), channel
ORDER BY time, channel
