-- What model calls cost, summed for each local day: budgets and cost lists read these few rows, never the calls, which are many and end with
-- their retention. The day is the one on which the call began, in the owner's zone; that of earlier calls is the machine's. Task 0 is none.
CREATE TABLE costs (
  day TEXT NOT NULL,
  group_id INTEGER NOT NULL REFERENCES groups(id),
  task_id INTEGER NOT NULL,
  model TEXT NOT NULL,
  calls INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost_micro_usd INTEGER NOT NULL,
  PRIMARY KEY (day, group_id, task_id, model)
) STRICT, WITHOUT ROWID;
INSERT INTO costs
  SELECT date(c.at / 1000, 'unixepoch', 'localtime') AS day, c.group_id, coalesce(r.task_id, 0) AS task, c.model, count(*),
    sum(c.input_tokens + c.cache_read_tokens + c.cache_write_5m_tokens + c.cache_write_1h_tokens), sum(c.output_tokens), sum(c.cost_micro_usd)
  FROM model_calls c LEFT JOIN runs r ON r.id = c.run_id GROUP BY day, c.group_id, task, c.model;

-- Caps that the owner set; what has no row here is as the settings say. A row with a day holds for that local day only.
CREATE TABLE budget_caps (
  name TEXT NOT NULL CHECK (name IN ('run', 'group', 'day', 'month')),
  group_id INTEGER REFERENCES groups(id),
  day TEXT NOT NULL DEFAULT '',
  micro_usd INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX budget_caps_name ON budget_caps(name, coalesce(group_id, 0), day);

-- Runs in a row of a task or a chat that spent and showed nothing.
CREATE TABLE silent_streaks (
  subject TEXT PRIMARY KEY,
  runs INTEGER NOT NULL,
  cost_micro_usd INTEGER NOT NULL,
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Chats whose message runs wait until the owner says how to go on.
CREATE TABLE held_chats (
  chat_id INTEGER PRIMARY KEY REFERENCES chats(id),
  held_at INTEGER NOT NULL
) STRICT;
