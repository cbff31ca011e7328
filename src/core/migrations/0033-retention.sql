-- Whether anything is still done in a conversation is asked of runs that ended, too.
CREATE INDEX runs_by_session ON runs(session);

-- Which messages are gone: a platform that delivers one again must not have it answered again. No reference to chats: those may go first.
CREATE TABLE forgotten_messages (
  id INTEGER PRIMARY KEY,
  chat_id INTEGER NOT NULL,
  platform_id TEXT NOT NULL,
  forgotten_at INTEGER NOT NULL,
  UNIQUE (chat_id, platform_id)
) STRICT;
CREATE TRIGGER message_was_forgotten BEFORE INSERT ON messages
  WHEN new.direction = 'in' AND EXISTS (SELECT 1 FROM forgotten_messages WHERE chat_id = new.chat_id AND platform_id = new.platform_id)
BEGIN
  SELECT RAISE(IGNORE);
END;
