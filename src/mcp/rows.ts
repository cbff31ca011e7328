// Tools of MCP servers that may be used: pinned as they were when the owner's configuration first brought them, or when he said yes to them.
import { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';
import type { ServerTool } from './tools.js';

const toolRow = z.object({
  service: z.string(),
  name: z.string(),
  /** JSON, as `tools.ts` reads it. */
  definition: z.string(),
  digest: z.string(),
  /** Whether the server offers just this now. */
  offered: flag,
});
export type KnownTool = z.infer<typeof toolRow>;

export function createMcpTools({ rows, run, value, named }: Statements) {
  const put = named.run<[ServerTool & { service: string }]>(
    `REPLACE INTO mcp_tools (service, name, definition, digest, offered) VALUES (@service, @name, @definition, @digest, 1)`,
  );
  return {
    of: rows(toolRow).all<[service: string]>('SELECT * FROM mcp_tools WHERE service = ?1 ORDER BY name'),
    find: rows(toolRow).get<[service: string, name: string]>(
      'SELECT * FROM mcp_tools WHERE service = ?1 AND name = ?2',
    ),
    configurationOf: value<[service: string], string>('SELECT configuration FROM mcp_servers WHERE service = ?1'),
    setConfiguration: run<[service: string, configuration: string]>('REPLACE INTO mcp_servers VALUES (?1, ?2)'),
    forget: run<[service: string]>('DELETE FROM mcp_tools WHERE service = ?1'),
    put,
    setOffered: run<[service: string, name: string, offered: boolean]>(
      'UPDATE mcp_tools SET offered = ?3 WHERE service = ?1 AND name = ?2 AND offered <> ?3',
    ),
  };
}
