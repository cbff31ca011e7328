-- What somebody registered for the whole of a forum: its topics begin with it, those too that nobody has made yet.
CREATE TABLE forums (
  channel TEXT NOT NULL,
  address TEXT NOT NULL,
  group_id INTEGER NOT NULL REFERENCES groups(id),
  senders_policy TEXT NOT NULL CHECK (senders_policy IN ('all', 'listed')),
  listed_senders TEXT NOT NULL,
  PRIMARY KEY (channel, address)
) STRICT, WITHOUT ROWID;

-- Until now the topics of a registered chat were one chat with it: they stay in its group.
INSERT INTO forums (channel, address, group_id, senders_policy, listed_senders)
SELECT channel, address, group_id, senders_policy, listed_senders FROM chats WHERE channel = 'telegram' AND group_id IS NOT NULL;
