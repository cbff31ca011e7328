-- What looked like a skill of a group at the end of its last run and is none: a JSON list of names with the reason.
CREATE TABLE skills_left_out (
  group_id INTEGER PRIMARY KEY REFERENCES groups(id),
  skills TEXT NOT NULL
) STRICT;
