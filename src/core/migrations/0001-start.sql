-- The first schema. Released files are never edited: a change is a new file with the next number.
CREATE TABLE groups (
  id INTEGER PRIMARY KEY,
  folder TEXT NOT NULL UNIQUE,
  is_main INTEGER NOT NULL DEFAULT 0,
  model TEXT,
  parked_class TEXT,
  parked_until INTEGER,
  park_count INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_main_group ON groups(is_main) WHERE is_main = 1;

CREATE TABLE chats (
  id INTEGER PRIMARY KEY,
  channel TEXT NOT NULL,
  address TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('direct', 'group')),
  title TEXT NOT NULL,
  group_id INTEGER REFERENCES groups(id),
  session_number INTEGER NOT NULL DEFAULT 1,
  context_after INTEGER NOT NULL DEFAULT 0,
  senders_policy TEXT NOT NULL DEFAULT 'all' CHECK (senders_policy IN ('all', 'listed')),
  listed_senders TEXT NOT NULL DEFAULT '[]',
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  UNIQUE (channel, address)
) STRICT;

CREATE TABLE senders (
  id INTEGER PRIMARY KEY,
  channel TEXT NOT NULL,
  address TEXT NOT NULL,
  name TEXT NOT NULL,
  username TEXT,
  is_owner INTEGER NOT NULL DEFAULT 0,
  UNIQUE (channel, address)
) STRICT;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  chat_id INTEGER NOT NULL REFERENCES chats(id),
  direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
  platform_id TEXT NOT NULL,
  sender_id INTEGER REFERENCES senders(id),
  sender_name TEXT NOT NULL,
  text TEXT NOT NULL,
  reply_to TEXT,
  media TEXT NOT NULL DEFAULT '[]',
  sent_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  edited INTEGER NOT NULL DEFAULT 0,
  command INTEGER NOT NULL DEFAULT 0,
  UNIQUE (chat_id, platform_id, direction)
) STRICT;
CREATE INDEX messages_by_chat ON messages(chat_id, id);

CREATE VIRTUAL TABLE messages_fts USING fts5(text, content='messages', content_rowid='id', tokenize='unicode61 remove_diacritics 2');
CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages BEGIN
  INSERT INTO messages_fts(rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER messages_fts_update AFTER UPDATE OF text ON messages BEGIN
  INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.id, old.text);
  INSERT INTO messages_fts(rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages BEGIN
  INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('message', 'task', 'hook', 'replay')),
  group_id INTEGER NOT NULL REFERENCES groups(id),
  chat_id INTEGER NOT NULL REFERENCES chats(id),
  session TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'leased', 'done', 'dead', 'cancelled')),
  attempt INTEGER NOT NULL DEFAULT 0,
  run_at INTEGER NOT NULL,
  lease_owner TEXT,
  lease_expires_at INTEGER,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  error_class TEXT,
  error TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER
) STRICT;
CREATE UNIQUE INDEX one_leased_run_per_session ON runs(session) WHERE state = 'leased';
CREATE INDEX runs_due ON runs(run_at, id) WHERE state = 'ready';
CREATE INDEX runs_by_session ON runs(session, state);

CREATE TABLE run_messages (
  run_id INTEGER NOT NULL REFERENCES runs(id),
  message_id INTEGER NOT NULL REFERENCES messages(id),
  PRIMARY KEY (run_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_messages_by_message ON run_messages(message_id);

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id INTEGER NOT NULL REFERENCES runs(id),
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX events_by_run ON events(run_id, id);

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  chat_id INTEGER NOT NULL REFERENCES chats(id),
  run_id INTEGER REFERENCES runs(id),
  text TEXT NOT NULL,
  parts TEXT,
  parts_sent INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'dead')),
  attempt INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL,
  error TEXT,
  created_at INTEGER NOT NULL,
  sent_at INTEGER
) STRICT;
CREATE INDEX outbox_queued ON outbox(chat_id, id) WHERE state = 'queued';

CREATE TABLE model_calls (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id INTEGER NOT NULL REFERENCES groups(id),
  run_id INTEGER REFERENCES runs(id),
  at INTEGER NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  cost_micro_usd INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  status INTEGER NOT NULL,
  stop_reason TEXT,
  duration_ms INTEGER NOT NULL,
  first_byte_ms INTEGER,
  request_id TEXT
) STRICT;
CREATE INDEX model_calls_by_time ON model_calls(at);

CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
