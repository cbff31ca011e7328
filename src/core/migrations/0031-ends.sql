-- Attempts that a dying host cut off while a runner had the run. They count for `cut_offs` alone, not as failures of the run.
ALTER TABLE runs ADD COLUMN attempts_lost INTEGER NOT NULL DEFAULT 0;

-- What Pinch was in the middle of when it ended, by name, and how often. A second time it is set aside.
CREATE TABLE suspects (
  name TEXT PRIMARY KEY,
  ends INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
