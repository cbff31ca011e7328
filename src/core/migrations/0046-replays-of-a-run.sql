-- Which runs repeat a run: its page links to them.
CREATE INDEX runs_by_replay ON runs(replay_of) WHERE replay_of IS NOT NULL;
