-- Who we are at an authorization server that a service named: found and registered while it was connected.
CREATE TABLE service_clients (
  service TEXT NOT NULL,
  -- As in service_tokens.
  client TEXT NOT NULL,
  client_id TEXT NOT NULL,
  secret TEXT,
  auth_method TEXT NOT NULL,
  token_url TEXT NOT NULL,
  resource TEXT,
  issuer TEXT,
  -- 1: an answer of its browser page that does not name the issuer is none.
  needs_issuer INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  PRIMARY KEY (service, client)
) STRICT;
-- Scopes that the service said these tokens lack, with a space between; asked for when it is connected again.
ALTER TABLE service_tokens ADD COLUMN lacking TEXT;
