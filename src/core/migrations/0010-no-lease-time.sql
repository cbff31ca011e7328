-- A lease ends when its process is gone: nothing ever read a time at which it would end.
ALTER TABLE runs DROP COLUMN lease_expires_at;
