-- Who spoke, as this machine knew it when the message came; null is from before.
ALTER TABLE messages ADD COLUMN role TEXT CHECK (role IN ('owner', 'listed', 'member'));
ALTER TABLE messages ADD COLUMN may_ask INTEGER NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN forwarded INTEGER NOT NULL DEFAULT 0;

-- The chat a person wrote in last: a list of people names those who are there.
ALTER TABLE senders ADD COLUMN seen_in INTEGER;
UPDATE senders SET seen_in = said.chat_id
  FROM (SELECT sender_id, chat_id, max(id) FROM messages WHERE sender_id IS NOT NULL GROUP BY sender_id) AS said
  WHERE said.sender_id = senders.id;
CREATE INDEX senders_seen_in ON senders(seen_in);
