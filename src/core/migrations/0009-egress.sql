-- Which hosts containers may reach. A rule without a group is for all of them; without ports it is for 80 and 443. A fixed address is the only
-- way to a private one. AUTOINCREMENT: people remove rules by number, so a number is never given twice.
CREATE TABLE egress_rules (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id INTEGER REFERENCES groups(id),
  host TEXT NOT NULL,
  ports TEXT,
  address TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX egress_rules_host ON egress_rules(coalesce(group_id, 0), host);

ALTER TABLE groups ADD COLUMN egress_mode TEXT NOT NULL DEFAULT 'ask' CHECK (egress_mode IN ('none', 'listed', 'ask', 'open'));
