-- Milliseconds of delivered messages by channel: to the vendor call and to the handset from acceptance, and of the vendor alone.
SELECT
    channel,
    sum(delta) AS delivered,
    arrayMap(x -> round(x), quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(submit_ms, delta = 1 AND outcome = 'delivered')) AS submit,
    arrayMap(x -> round(x), quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(handset_ms, delta = 1 AND outcome = 'delivered')) AS handset,
    arrayMap(x -> round(x), quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(receipt_ms, delta = 1 AND outcome = 'delivered')) AS vendor
FROM outcomes
WHERE toStartOfMinute(accepted_at) >= {from:DateTime('UTC')} AND toStartOfMinute(accepted_at) < {to:DateTime('UTC')}
    AND outcome = 'delivered'
GROUP BY channel
ORDER BY channel
