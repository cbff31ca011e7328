-- What a chat is shown while a run works: nothing, what it does now, or also what it did before and the runs of tasks.
ALTER TABLE chats ADD COLUMN progress TEXT NOT NULL DEFAULT 'quiet' CHECK (progress IN ('off', 'quiet', 'full'));

-- What is to be taken away again when the run is over: our message that says how it goes on, our reaction to the message that asked.
CREATE TABLE progress (
  run_id INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('message', 'reaction')),
  chat_id INTEGER NOT NULL,
  platform_id TEXT NOT NULL,
  sender TEXT NOT NULL DEFAULT '',
  after_id INTEGER NOT NULL DEFAULT 0,
  at INTEGER NOT NULL,
  PRIMARY KEY (run_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX progress_of_chat ON progress (chat_id, platform_id);
