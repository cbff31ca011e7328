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
