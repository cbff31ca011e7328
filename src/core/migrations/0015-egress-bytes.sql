-- What each group moved through its connections to the outside since it began its present day, which lasts 24 hours.
CREATE TABLE egress_bytes (
  group_id INTEGER PRIMARY KEY REFERENCES groups(id),
  since INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
