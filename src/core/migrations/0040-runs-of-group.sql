-- The page lists the newest runs of one group, however many others there are. An expression, so that no other statement takes this index
-- where it has a better one.
CREATE INDEX runs_of_group ON runs(coalesce(group_id, 0), id);
-- Chats that were seen and are registered nowhere.
CREATE INDEX chats_of_nobody ON chats(last_seen_at) WHERE group_id IS NULL;
