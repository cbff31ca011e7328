-- Browsers that are signed in on the page. The tokens themselves are not here: a copy of this file opens nothing.
CREATE TABLE page_sessions (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
