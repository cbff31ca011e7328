-- Work that happens without being asked: tasks, the slots they were due at, and what a run was started with.
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  group_id INTEGER NOT NULL REFERENCES groups(id),
  chat_id INTEGER NOT NULL REFERENCES chats(id),
  title TEXT NOT NULL,
  prompt TEXT NOT NULL,
  starts TEXT NOT NULL,
  options TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'done', 'cancelled')),
  failures INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER,
  secret TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tasks_due ON tasks(next_at, id) WHERE state = 'active' AND next_at IS NOT NULL;
CREATE INDEX tasks_by_group ON tasks(group_id, state);

CREATE TABLE slots (
  task_id INTEGER NOT NULL REFERENCES tasks(id),
  slot_at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled', 'missed', 'skipped', 'blocked')),
  run_id INTEGER REFERENCES runs(id),
  count INTEGER NOT NULL DEFAULT 1,
  detail TEXT NOT NULL DEFAULT '',
  input TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (task_id, slot_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_open ON slots(state, task_id, slot_at) WHERE state IN ('waiting', 'running');
CREATE INDEX slots_by_run ON slots(run_id) WHERE run_id IS NOT NULL;

ALTER TABLE runs ADD COLUMN task_id INTEGER REFERENCES tasks(id);
ALTER TABLE runs ADD COLUMN input TEXT;
CREATE INDEX runs_by_task ON runs(task_id) WHERE task_id IS NOT NULL;
CREATE INDEX outbox_by_run ON outbox(run_id) WHERE run_id IS NOT NULL;
CREATE INDEX model_calls_by_run ON model_calls(run_id) WHERE run_id IS NOT NULL;

-- Which run sent a message: a reply to it goes on in that run's session.
ALTER TABLE messages ADD COLUMN run_id INTEGER REFERENCES runs(id);
