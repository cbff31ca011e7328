-- Skills that agents wrote and the owner has read: as they were then.
CREATE TABLE own_skills (
  group_id INTEGER NOT NULL REFERENCES groups(id),
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (group_id, name)
) STRICT;
