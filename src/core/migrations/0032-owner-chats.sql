-- The person for whom a direct chat joined the main group, because it is the owner's: it leaves when they are the owner no more.
-- Null: somebody registered it.
ALTER TABLE chats ADD COLUMN owner_address TEXT;
CREATE INDEX chats_of_owner ON chats(channel, owner_address) WHERE owner_address IS NOT NULL;
UPDATE chats SET owner_address = (
  SELECT s.address FROM messages m JOIN senders s ON s.id = m.sender_id WHERE m.chat_id = chats.id AND m.role = 'owner' LIMIT 1
) WHERE kind = 'direct' AND channel <> 'web' AND group_id = (SELECT id FROM groups WHERE is_main = 1);
