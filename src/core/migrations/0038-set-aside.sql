-- What was set aside because Pinch could not take it in: what it said, as bytes that nothing reads by itself.
CREATE TABLE set_aside (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  why TEXT NOT NULL,
  body BLOB,
  at INTEGER NOT NULL
) STRICT;
