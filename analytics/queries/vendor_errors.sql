-- What vendor calls were refused with, most frequent first.
SELECT
    channel,
    vendor_code,
    blame,
    count() AS calls
FROM attempts
WHERE toStartOfMinute(logged_at) >= {from:DateTime('UTC')} AND toStartOfMinute(logged_at) < {to:DateTime('UTC')}
    AND kind = 'finished' AND result = 'rejected'
GROUP BY channel, vendor_code, blame
ORDER BY calls DESC, channel, vendor_code
LIMIT {limit:UInt32}
