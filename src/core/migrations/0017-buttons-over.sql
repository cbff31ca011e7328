-- 1: the buttons below this message are used or lead nowhere, and must still be taken away; 2: they are gone.
ALTER TABLE outbox ADD COLUMN buttons_over INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_by_buttons ON outbox(next_at) WHERE buttons_over = 1 AND state = 'sent';
