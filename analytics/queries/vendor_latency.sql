-- Milliseconds that the vendor calls of a channel took (median, 90 %, 99 %), by result.
SELECT
    channel,
    result,
    count() AS calls,
    arrayMap(x -> round(x), quantilesTDigest(0.5, 0.9, 0.99)(elapsed_ms)) AS elapsed
FROM attempts
WHERE toStartOfMinute(logged_at) >= {from:DateTime('UTC')} AND toStartOfMinute(logged_at) < {to:DateTime('UTC')}
    AND kind = 'finished'
GROUP BY channel, result
ORDER BY channel, result
