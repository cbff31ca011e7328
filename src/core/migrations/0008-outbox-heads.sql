-- The next message of a chat: what the host itself says (answers to commands, notices) goes before what runs send.
CREATE INDEX outbox_heads ON outbox(chat_id, (run_id IS NOT NULL), id) WHERE state = 'queued';
DROP INDEX outbox_queued;
