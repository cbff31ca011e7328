-- What a channel must keep to stay linked to its account: keys and credentials, opaque to everybody else.
CREATE TABLE channel_auth (
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  value TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (channel, kind, id)
) STRICT, WITHOUT ROWID;
