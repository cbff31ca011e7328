-- Buttons that go with an outgoing message.
ALTER TABLE outbox ADD COLUMN buttons TEXT;

-- Which row of the outbox a message of ours came from; of an inbound one, which it answers by a press, a reaction or one word: its buttons are then used.
ALTER TABLE messages ADD COLUMN outbox_id INTEGER REFERENCES outbox(id) ON DELETE SET NULL;
CREATE INDEX messages_by_outbox ON messages(outbox_id) WHERE outbox_id IS NOT NULL;
