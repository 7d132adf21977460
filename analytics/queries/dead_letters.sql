-- Records that could not be handled, by step and reason. Copies of one event count once.
SELECT step, reason, channel, uniqExact(event_id) AS records, max(at) AS newest
FROM dead_letters
WHERE logged_at >= {from:DateTime('UTC')} AND logged_at < {to:DateTime('UTC')}
GROUP BY step, reason, channel
ORDER BY records DESC, step, reason, channel
