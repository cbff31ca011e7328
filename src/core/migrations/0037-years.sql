-- Secrets of hooks are looked up at each start, among all tasks of years.
CREATE INDEX tasks_hooks ON tasks(id) WHERE secret IS NOT NULL AND state IN ('active', 'paused');
