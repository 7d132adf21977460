-- Messages by minute of acceptance and outcome.
SELECT
    toTimeZone(toStartOfMinute(accepted_at), {zone:String}) AS minute,
    outcome,
    sum(delta) AS messages
FROM outcomes
WHERE toStartOfMinute(accepted_at) >= {from:DateTime('UTC')} AND toStartOfMinute(accepted_at) < {to:DateTime('UTC')}
GROUP BY toStartOfMinute(accepted_at), outcome
HAVING messages != 0
ORDER BY minute, outcome
