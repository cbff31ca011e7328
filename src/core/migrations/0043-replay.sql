-- A run again. `replay_of`: which one; `model` and `prompt` stand in the place of its own. `dry`: nothing that it does leaves its container.
-- `report_chat`: the chat that asked for it and is told how it went.
ALTER TABLE runs ADD COLUMN replay_of INTEGER;
ALTER TABLE runs ADD COLUMN dry INTEGER NOT NULL DEFAULT 0 CHECK (dry IN (0, 1));
ALTER TABLE runs ADD COLUMN model TEXT;
ALTER TABLE runs ADD COLUMN prompt TEXT;
ALTER TABLE runs ADD COLUMN report_chat INTEGER;
CREATE INDEX runs_dry ON runs(run_at, id) WHERE state = 'ready' AND dry = 1;
