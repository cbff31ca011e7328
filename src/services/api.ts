// The JSON API about services (design §8). Never shows a secret.
import type { Hono } from 'hono';
import type { Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import { checked, readBody, refuse } from '../core/http.js';
import { connectCode, connectStart } from '../oauth/accounts.js';
import { keptRequest } from './ask.js';
import { overHttp, type Service } from './list.js';
import type { McpServer } from './servers.js';
import type { Services } from './services.js';
import type { Store } from './store.js';
import { callService } from './upstream.js';

interface ServicesApiDeps {
  services: Services;
  store: Pick<Store, 'approvals' | 'serviceBodies'>;
  clock: Clock;
  /** What is shown of an MCP server. */
  viewServer(server: McpServer): object;
}

export const servicesApi =
  ({ services, store, clock, viewServer }: ServicesApiDeps) =>
  (app: Hono) => {
    const named = (wanted: string) => {
      const service = services.list().services.find(({ name }) => name === wanted);
      if (service) return service;
      throw refuse(404, 'not_found', `there is no service "${wanted}"`, 'GET /api/services lists them');
    };
    app.get('/api/services', (c) => {
      const { services: all, servers, problems } = services.list();
      const view = ({ url, auth, ...rest }: (typeof all)[number]) => ({
        ...rest,
        url: url.href,
        auth: auth ? (Object.keys(auth)[0] ?? null) : null,
        ...(rest.mcp && { server: viewServer(overHttp({ ...rest, url, auth })) }),
      });
      const views = servers.map(({ variables, ...server }) => ({ ...viewServer(server), variables }));
      return c.json({ services: [...all.map(view), ...views], problems });
    });
    /** One call of its base URL that only reads. */
    app.post('/api/services/:name/test', async (c) => {
      const service = named(c.req.param('name'));
      const over = new AbortController();
      try {
        const credential = await services.credential(service);
        const method = readingMethod(service);
        const headers = { 'user-agent': 'pinch', ...(method === 'PROPFIND' && { depth: '0' }) };
        const request = { method, path: '/', query: '', headers };
        const { status, body } = await callService({ service, credential, clock }, request, { signal: over.signal });
        body.destroy();
        return c.json({ method, status });
      } catch (error) {
        if (error instanceof PinchError) throw refuse(400, error.code, error.message, error.hint);
        throw refuse(
          400,
          'unreachable',
          `${service.url.href} cannot be reached: ${describeError(error)}`,
          'is it running?',
        );
      } finally {
        over.abort();
      }
    });
    const orRefuse = (error: unknown): never => {
      if (error instanceof PinchError) throw refuse(400, error.code, error.message, error.hint);
      throw error;
    };
    app.post('/api/services/:name/connect/start', async (c) => {
      const start = await readBody(c, connectStart);
      return c.json(await services.begin(named(c.req.param('name')), start).catch(orRefuse));
    });
    app.post('/api/services/:name/connect', async (c) => {
      const code = await readBody(c, connectCode);
      return c.json(await services.finish(named(c.req.param('name')), code).catch(orRefuse));
    });
    /** A request that waits for the owner, or did, with its body in Base64. */
    app.get('/api/services/requests/:id', (c) => {
      const approval = store.approvals.get(Number(c.req.param('id')));
      if (approval?.kind !== 'service') throw refuse(404, 'not_found', 'there is no such request to a service');
      const body = store.serviceBodies.get(approval.id);
      if (!body) throw refuse(404, 'not_found', 'this request is over, and what it carried is not kept');
      return c.json({ ...checked(() => keptRequest.parse(approval.input)), body: body.toString('base64') });
    });
  };

/** A folder on a WebDAV server, a calendar too, answers no GET. */
const readingMethod = ({ rules }: Pick<Service, 'rules'>): 'PROPFIND' | 'GET' =>
  rules.some((rule) => rule.do === 'allow' && rule.method.includes('PROPFIND')) ? 'PROPFIND' : 'GET';
