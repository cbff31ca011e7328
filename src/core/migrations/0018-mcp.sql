-- The MCP servers whose tools are known, and of which configuration they are: another one, which the owner wrote, begins anew.
CREATE TABLE mcp_servers (
  service TEXT PRIMARY KEY,
  configuration TEXT NOT NULL
) STRICT;

-- Their tools as they were when they were taken, or when the owner said yes to them.
CREATE TABLE mcp_tools (
  service TEXT NOT NULL,
  name TEXT NOT NULL,
  -- JSON: name, description, inputSchema, annotations.
  definition TEXT NOT NULL,
  digest TEXT NOT NULL,
  -- 0: the server does not offer it now, or offers another one by this name.
  offered INTEGER NOT NULL,
  PRIMARY KEY (service, name)
) STRICT;
