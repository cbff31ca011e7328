-- A file that goes with an outgoing message: its name and type; the bytes are in data/outbox until it is sent.
ALTER TABLE outbox ADD COLUMN file TEXT;
