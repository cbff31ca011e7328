-- What people were told about their runs while these go on.
-- 1: Pinch ended in the middle of the run's latest attempt.
ALTER TABLE runs ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0 CHECK (interrupted IN (0, 1));
-- When its chat was told last that Pinch was restarted and goes on.
ALTER TABLE runs ADD COLUMN restart_told_at INTEGER;
-- Since when its chat knows that the model does not answer; NULL again once it was told that it does.
ALTER TABLE runs ADD COLUMN outage_told_at INTEGER;
CREATE INDEX runs_outage_told ON runs(id) WHERE outage_told_at IS NOT NULL;
