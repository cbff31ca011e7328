-- The journal of each group's memory files: what they were after each change, every text once.
CREATE TABLE memory_contents (
  hash TEXT PRIMARY KEY,
  content TEXT NOT NULL
) STRICT;

-- AUTOINCREMENT: a number that was shown is never that of another version.
CREATE TABLE memory_versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id INTEGER NOT NULL REFERENCES groups(id),
  path TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('kept', 'deleted', 'left out')),
  hash TEXT REFERENCES memory_contents(hash),
  bytes INTEGER NOT NULL,
  author TEXT NOT NULL CHECK (author IN ('run', 'outside', 'restore')),
  -- Runs go earlier than versions.
  run_id INTEGER,
  -- The version that was brought back.
  restores INTEGER,
  -- JSON lists: what its writer had read and nobody trusted; whose secrets are in it.
  sources TEXT NOT NULL,
  secrets TEXT NOT NULL,
  at INTEGER NOT NULL,
  newest INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX memory_versions_of_file ON memory_versions(group_id, path, id);
CREATE UNIQUE INDEX memory_newest ON memory_versions(group_id, path) WHERE newest = 1;
CREATE INDEX memory_versions_with ON memory_versions(hash);

-- What of the journal each group takes.
CREATE TABLE memory_bytes (
  group_id INTEGER PRIMARY KEY REFERENCES groups(id),
  bytes INTEGER NOT NULL
) STRICT;

-- Terms of the newest version of each file (groups/search-words.ts), with the group in front of them.
CREATE VIRTUAL TABLE memory_fts USING fts5(terms, content='', contentless_delete=1, detail='none', tokenize="ascii tokenchars ':+#.@$~'");

CREATE TRIGGER memory_version_added AFTER INSERT ON memory_versions BEGIN
  INSERT INTO memory_bytes (group_id, bytes) VALUES (new.group_id, new.bytes)
    ON CONFLICT (group_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER memory_version_followed AFTER UPDATE OF newest ON memory_versions WHEN new.newest = 0 BEGIN
  DELETE FROM memory_fts WHERE rowid = new.id;
END;
CREATE TRIGGER memory_version_deleted AFTER DELETE ON memory_versions BEGIN
  UPDATE memory_bytes SET bytes = bytes - old.bytes WHERE group_id = old.group_id;
  DELETE FROM memory_fts WHERE rowid = old.id;
  DELETE FROM memory_contents WHERE hash = old.hash AND NOT EXISTS (SELECT 1 FROM memory_versions WHERE hash = old.hash);
END;

-- What somebody asked to bring back; the runner does it.
CREATE TABLE memory_restores (
  id INTEGER PRIMARY KEY,
  group_id INTEGER NOT NULL REFERENCES groups(id),
  -- Who is told; none: who asked waits for it.
  chat_id INTEGER REFERENCES chats(id),
  -- JSON: [{path, version}]; no version: there was no such file.
  items TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
  problem TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX memory_restores_waiting ON memory_restores(id) WHERE state = 'waiting';
