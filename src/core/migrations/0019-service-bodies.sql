-- What requests to services carry that wait for the owner's yes. Apart from the approvals: whoever lists those must not read megabytes.
CREATE TABLE service_bodies (
  approval_id INTEGER PRIMARY KEY REFERENCES approvals(id),
  body BLOB NOT NULL
) STRICT;
-- Those that do not stay.
CREATE INDEX service_bodies_large ON service_bodies(approval_id) WHERE length(body) > 65536;
