-- NULL: the group has no mode of its own, PINCH_EGRESS counts. A mode `ask` that somebody chose cannot be told from the old default.
ALTER TABLE groups RENAME COLUMN egress_mode TO old_egress_mode;
ALTER TABLE groups ADD COLUMN egress_mode TEXT CHECK (egress_mode IN ('none', 'listed', 'ask', 'open'));
UPDATE groups SET egress_mode = nullif(old_egress_mode, 'ask');
ALTER TABLE groups DROP COLUMN old_egress_mode;
