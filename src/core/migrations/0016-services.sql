-- A yes that takes time is found again at the next start.
CREATE INDEX approvals_allowed ON approvals(id) WHERE state = 'allowed';
