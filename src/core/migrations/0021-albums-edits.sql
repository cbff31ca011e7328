-- What a sender sent together: the platform's name of the album, and how many it announced where it says so.
ALTER TABLE messages ADD COLUMN album TEXT;
ALTER TABLE messages ADD COLUMN album_size INTEGER;
CREATE INDEX messages_by_album ON messages(chat_id, album, sender_id, id) WHERE album IS NOT NULL;

-- Whether a message asked for work, was only said, or only pointed at another one (a reaction, a button).
ALTER TABLE messages ADD COLUMN intent TEXT NOT NULL DEFAULT 'said' CHECK (intent IN ('asked', 'said', 'reacted'));
-- The earlier version of a message that was edited after a run had taken it.
ALTER TABLE messages ADD COLUMN replaces INTEGER;
