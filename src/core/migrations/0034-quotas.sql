-- Which group's container made a task or gave it its times, and how often it starts at most: that bounds what more it may plan. What the owner
-- made has neither.
ALTER TABLE tasks ADD COLUMN made_by INTEGER REFERENCES groups(id);
ALTER TABLE tasks ADD COLUMN per_hour REAL NOT NULL DEFAULT 0;
-- The keys of those that containers made begin with the number of their run.
UPDATE tasks SET made_by = group_id, per_hour = coalesce(3600000.0 / nullif(starts ->> 'everyMs', 0), 1)
  WHERE key GLOB '[0-9]*:*' AND state IN ('active', 'paused');
CREATE INDEX tasks_made ON tasks(made_by, id, state, per_hour) WHERE state IN ('active', 'paused');
