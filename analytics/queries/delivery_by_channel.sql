-- Delivery rate by channel, of what a vendor took; resolved_share is the share of the messages first decided in the period that have ended.
WITH
    ended AS
    (
        SELECT
            channel AS name,
            sum(delta) AS messages,
            sumIf(delta, outcome = 'delivered') AS delivered,
            sumIf(delta, outcome IN ('delivered', 'undelivered', 'unknown')) AS sent,
            sum(delta * cost_micros) / 1000000 AS cost
        FROM outcomes
        WHERE toStartOfMinute(accepted_at) >= {from:DateTime('UTC')} AND toStartOfMinute(accepted_at) < {to:DateTime('UTC')}
        GROUP BY name
    ),
    decided AS
    (
        SELECT channel AS name, countIf(n = 1) AS messages
        FROM routings
        WHERE toStartOfInterval(decided_at, INTERVAL 5 SECOND) >= {from:DateTime('UTC')}
            AND toStartOfInterval(decided_at, INTERVAL 5 SECOND) < {to:DateTime('UTC')}
        GROUP BY name
    ),
    resolved AS
    (
        SELECT first_channel AS name, sum(delta) AS messages
        FROM outcomes
        WHERE toStartOfInterval(first_routed_at, INTERVAL 5 SECOND) >= {from:DateTime('UTC')}
            AND toStartOfInterval(first_routed_at, INTERVAL 5 SECOND) < {to:DateTime('UTC')}
        GROUP BY name
    )
SELECT
    name AS channel,
    ended.messages AS ended_messages,
    ended.delivered AS delivered,
    if(ended.sent = 0, NULL, round(ended.delivered / ended.sent, 4)) AS delivery_rate,
    if(decided.messages = 0, NULL, round(least(resolved.messages / decided.messages, 1), 4)) AS resolved_share,
    round(ended.cost, 6) AS cost
FROM ended
FULL JOIN decided USING (name)
LEFT JOIN resolved USING (name)
WHERE name != ''
ORDER BY ended_messages DESC, name
