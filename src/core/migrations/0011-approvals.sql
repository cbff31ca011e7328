-- What only the owner may allow: one exact action each, kept as it was shown. AUTOINCREMENT: people answer by number, so a number is never
-- given twice.
CREATE TABLE approvals (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'allowed', 'denied', 'expired', 'done', 'failed')),
  group_id INTEGER REFERENCES groups(id),
  chat_id INTEGER REFERENCES chats(id),
  run_id INTEGER REFERENCES runs(id),
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  always TEXT,
  input TEXT NOT NULL,
  hash TEXT NOT NULL,
  card_chat_id INTEGER REFERENCES chats(id),
  decided_by TEXT,
  result TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  decided_at INTEGER
) STRICT;
CREATE INDEX approvals_open ON approvals(expires_at) WHERE state = 'open';
CREATE INDEX approvals_hash ON approvals(hash, id);
CREATE INDEX approvals_of_chat ON approvals(chat_id, kind);
CREATE INDEX approvals_of_group ON approvals(coalesce(group_id, 0), created_at);

-- What Pinch itself says to an agent in the place of a person.
ALTER TABLE messages ADD COLUMN by_host INTEGER NOT NULL DEFAULT 0;

-- Until when a rule counts; null: until it is removed. One of each kind per group and host.
ALTER TABLE egress_rules ADD COLUMN until INTEGER;
DROP INDEX egress_rules_host;
CREATE UNIQUE INDEX egress_rules_host ON egress_rules(coalesce(group_id, 0), host, until IS NULL);

-- Sessions that were given what nobody trusted: the first source and when, and when a run of the session last worked with it.
CREATE TABLE taints (
  session TEXT PRIMARY KEY,
  group_id INTEGER NOT NULL REFERENCES groups(id),
  source TEXT NOT NULL,
  at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX taints_of_group ON taints(group_id, seen_at);
ALTER TABLE groups ADD COLUMN taint INTEGER NOT NULL DEFAULT 1;
