-- Groups that start nothing new until somebody says so; group 0 stands for all of them.
CREATE TABLE pauses (
  group_id INTEGER PRIMARY KEY,
  paused_at INTEGER NOT NULL
) STRICT;
-- The model that a group works with, where it is not the one of the settings.
CREATE TABLE group_models (
  group_id INTEGER PRIMARY KEY REFERENCES groups(id),
  model TEXT NOT NULL
) STRICT;
-- The newest runs of one group, however many others there are. An expression, so that no other statement takes this index where it has a better one.
CREATE INDEX IF NOT EXISTS runs_of_group ON runs(coalesce(group_id, 0), id);
