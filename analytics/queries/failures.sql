-- What messages that did not arrive ended with, most frequent first.
SELECT
    outcome,
    reason,
    channel,
    code,
    sum(delta) AS messages
FROM outcomes
WHERE accepted_at >= {from:DateTime('UTC')} AND accepted_at < {to:DateTime('UTC')} AND outcome != 'delivered'
GROUP BY outcome, reason, channel, code
HAVING messages != 0
ORDER BY messages DESC, outcome, reason, channel, code
LIMIT {limit:UInt32}
