-- Which attempt a runner last had the run in, and how often in a row the host died while one had it. Only those are the run's own fault.
ALTER TABLE runs ADD COLUMN handed_attempt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN cut_offs INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET handed_attempt = attempt WHERE state = 'leased';

-- Whether a runner was given the message. What none was given is not given up with the run.
ALTER TABLE run_messages ADD COLUMN handed INTEGER NOT NULL DEFAULT 0;
UPDATE run_messages SET handed = 1 WHERE run_id IN (SELECT id FROM runs WHERE started_at IS NOT NULL);
