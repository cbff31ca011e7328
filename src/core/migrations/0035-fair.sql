-- Who is next is asked of each group and kind of run, so that a claim looks at a few rows however many wait.
CREATE INDEX runs_next ON runs(group_id, kind, run_at) WHERE state = 'ready';
