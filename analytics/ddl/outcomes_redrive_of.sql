-- For databases that were made before the column was.
ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS redrive_of Nullable(UUID) AFTER campaign
