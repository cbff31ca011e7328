-- What the agent that asked is told it is, where the owner's words say more than it may know.
ALTER TABLE approvals ADD COLUMN agent_subject TEXT;
