-- The search index holds terms that groups/search-words.ts makes, each with the group in front of it, and no text. SQL cannot make them: triggers
-- note which messages are to be indexed, and groups/search-index.ts does it soon after, those that were here before too.
DROP TRIGGER messages_fts_insert;
DROP TRIGGER messages_fts_update;
DROP TRIGGER messages_fts_delete;
DROP TABLE messages_fts;
CREATE VIRTUAL TABLE messages_fts USING fts5(terms, content='', contentless_delete=1, detail='none', tokenize="ascii tokenchars ':+#.@$~'");
INSERT INTO messages_fts (messages_fts, rank) VALUES ('automerge', 0);
INSERT INTO messages_fts (messages_fts, rank) VALUES ('crisismerge', 1000);

-- Messages of a chat that are to be indexed (again), `until_id` first.
CREATE TABLE search_todo (
  id INTEGER PRIMARY KEY,
  chat_id INTEGER NOT NULL REFERENCES chats(id),
  from_id INTEGER NOT NULL,
  until_id INTEGER NOT NULL
) STRICT;
CREATE INDEX search_todo_by_chat ON search_todo(chat_id);
INSERT INTO search_todo (chat_id, from_id, until_id)
  SELECT id, 1, latest FROM (SELECT id, (SELECT max(id) FROM messages WHERE chat_id = chats.id) AS latest FROM chats) WHERE latest IS NOT NULL ORDER BY latest;

CREATE TRIGGER search_message_added AFTER INSERT ON messages BEGIN
  INSERT INTO search_todo (chat_id, from_id, until_id) VALUES (new.chat_id, new.id, new.id);
END;
CREATE TRIGGER search_message_changed AFTER UPDATE OF text ON messages BEGIN
  INSERT INTO search_todo (chat_id, from_id, until_id) VALUES (new.chat_id, new.id, new.id);
END;
CREATE TRIGGER search_message_deleted AFTER DELETE ON messages BEGIN
  DELETE FROM messages_fts WHERE rowid = old.id;
END;
CREATE TRIGGER search_chat_moved AFTER UPDATE OF group_id ON chats WHEN old.group_id IS NOT new.group_id BEGIN
  INSERT INTO search_todo (chat_id, from_id, until_id)
    SELECT new.id, 1, latest FROM (SELECT max(id) AS latest FROM messages WHERE chat_id = new.id) WHERE latest IS NOT NULL;
END;
