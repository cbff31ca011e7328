// The JSON API about MCP servers: what stands behind `service test` and `service restart`. Other services are left to the API of those.
import type { Hono } from 'hono';
import { PinchError } from '../core/errors.js';
import { refuse } from '../core/http.js';
import type { McpServer } from '../services/servers.js';
import type { Services } from '../services/services.js';
import type { Servers } from './servers.js';

interface McpApiDeps {
  servers: Servers;
  services: Pick<Services, 'servers'>;
  view(server: McpServer): object;
}

export const mcpApi =
  ({ servers, services, view }: McpApiDeps) =>
  (app: Hono) => {
    const find = (wanted: string) => services.servers().find(({ name }) => name === wanted);
    /** Starts it and asks for its tools. */
    app.post('/api/services/:name/test', async (c, next) => {
      const server = find(c.req.param('name'));
      if (!server) return next();
      try {
        const connection = servers.use(server);
        connection.forgive();
        await connection.refresh();
      } catch (error) {
        if (!(error instanceof PinchError)) throw error;
        throw refuse(400, error.code, servers.state(server).lastError ?? error.message, error.hint);
      }
      return c.json(view(server));
    });
    app.post('/api/services/:name/restart', async (c) => {
      const server = find(c.req.param('name'));
      if (!server) throw refuse(404, 'not_found', 'there is no such MCP server', 'GET /api/services lists them');
      await servers.restart(server);
      return c.json({});
    });
  };
