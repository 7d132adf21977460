-- Messages, billed segments and cost by lane and outcome.
SELECT
    lane,
    outcome,
    sum(delta) AS messages,
    sum(delta * segments) AS billed_segments,
    sum(delta * cost_micros) / 1000000 AS cost
FROM outcomes
WHERE toStartOfMinute(accepted_at) >= {from:DateTime('UTC')} AND toStartOfMinute(accepted_at) < {to:DateTime('UTC')}
GROUP BY lane, outcome
HAVING messages != 0
ORDER BY lane, outcome
