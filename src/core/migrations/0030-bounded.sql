-- Up to which message of a chat all are handled: a run took them, or they were left out because they were too many.
ALTER TABLE chats ADD COLUMN attached_to INTEGER NOT NULL DEFAULT 0;
UPDATE chats SET attached_to = coalesce((SELECT m.id FROM messages m WHERE m.chat_id = chats.id
  AND EXISTS (SELECT 1 FROM run_messages r WHERE r.message_id = m.id) ORDER BY m.id DESC LIMIT 1), 0);
-- How many messages right before this one were left out.
ALTER TABLE run_messages ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_said ON messages(chat_id, id) WHERE direction = 'in' AND command = 0;

-- How many runs there are in each state, kept by triggers: counting them would read years.
CREATE TABLE run_counts (
  state TEXT PRIMARY KEY,
  n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO run_counts SELECT state, count(*) FROM runs GROUP BY state;
CREATE TRIGGER run_counts_added AFTER INSERT ON runs BEGIN
  INSERT INTO run_counts VALUES (new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER run_counts_changed AFTER UPDATE OF state ON runs WHEN old.state <> new.state BEGIN
  UPDATE run_counts SET n = n - 1 WHERE state = old.state;
  INSERT INTO run_counts VALUES (new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER run_counts_deleted AFTER DELETE ON runs BEGIN
  UPDATE run_counts SET n = n - 1 WHERE state = old.state;
END;

-- What is open now has indexes of its own, which do not grow with the years.
DROP INDEX runs_by_session;
CREATE INDEX runs_open ON runs(session, id) WHERE state IN ('ready', 'leased');
CREATE INDEX runs_ready_of_group ON runs(group_id, run_at) WHERE state = 'ready';
CREATE INDEX runs_by_state ON runs(state, id);
CREATE INDEX slots_waiting ON slots(slot_at, task_id) WHERE state = 'waiting';
CREATE INDEX tasks_open ON tasks(id) WHERE state IN ('active', 'paused');
CREATE INDEX tasks_open_of_group ON tasks(group_id, id) WHERE state IN ('active', 'paused');
CREATE INDEX tasks_files ON tasks(id) WHERE state = 'active' AND next_at IS NULL AND starts ->> 'kind' = 'files';
DROP INDEX approvals_allowed;
CREATE INDEX approvals_by_state ON approvals(state, id);

CREATE INDEX senders_owner ON senders(channel) WHERE is_owner = 1;

-- The latest of all.
CREATE INDEX slots_by_created ON slots(created_at);
CREATE INDEX tasks_by_created ON tasks(created_at);

-- What refers to a row: it is looked for when the row is removed, too.
CREATE INDEX chats_of_group ON chats(group_id) WHERE group_id IS NOT NULL;
CREATE INDEX tasks_by_chat ON tasks(chat_id);
CREATE INDEX runs_by_chat ON runs(chat_id);
CREATE INDEX outbox_by_chat ON outbox(chat_id);
CREATE INDEX messages_by_run ON messages(run_id) WHERE run_id IS NOT NULL;
CREATE INDEX approvals_by_run ON approvals(run_id) WHERE run_id IS NOT NULL;
CREATE INDEX approvals_by_card ON approvals(card_chat_id) WHERE card_chat_id IS NOT NULL;
