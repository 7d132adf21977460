-- What this database is of: its schema version, the identity of the log, and the settings of its tables.
CREATE TABLE IF NOT EXISTS meta
(
    key   String,
    value String,
    at    DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (key, at)
SETTINGS non_replicated_deduplication_window = 10000
