-- A yes that takes time is found again at the next start.
CREATE INDEX approvals_allowed ON approvals(id) WHERE state = 'allowed';

-- What the owner's accounts at services gave us: kept until they are connected anew, or taken back there.
CREATE TABLE service_tokens (
  service TEXT PRIMARY KEY,
  -- Whose they are: another client or place in services.json does not get them.
  client TEXT NOT NULL,
  access_token TEXT NOT NULL,
  refresh_token TEXT,
  -- Null: it does not say.
  expires_at INTEGER,
  connected_at INTEGER NOT NULL
) STRICT;
