// Home Assistant's REST API as its documentation has it (developers.home-assistant.io/docs/api/rest), for a house of four things. There is no
// Debian package of it. Strict: what the documentation does not know is answered as the real one does, and kept in `seen`.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { listen } from '../../src/egress/testing/inside.js';

const TOKEN = 'canary-home-assistant-0123456789';

/** Domain → service → the state it leads to. */
const SERVICES: Record<string, Record<string, string>> = {
  light: { turn_on: 'on', turn_off: 'off' },
  lock: { lock: 'locked', unlock: 'unlocked' },
  alarm_control_panel: { alarm_arm_away: 'armed_away', alarm_disarm: 'disarmed' },
  cover: { open_cover: 'open', close_cover: 'closed' },
};

export interface House {
  /** With `/api`. */
  url: string;
  token: string;
  /** Entity → state. */
  states: Map<string, string>;
  /** Requests so far, as `METHOD path`. */
  seen: string[];
  close(): void;
}

export async function startHomeAssistant(): Promise<House> {
  const states = new Map([
    ['light.kitchen', 'off'],
    ['lock.front_door', 'locked'],
    ['alarm_control_panel.home', 'armed_away'],
    ['cover.garage', 'closed'],
  ]);
  const seen: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    seen.push(`${request.method} ${request.url}`);
    if (request.headers.authorization !== `Bearer ${TOKEN}`) response.writeHead(401).end('401: Unauthorized');
    else answer({ states, request, response }, body);
  });
  const port = await listen(server);
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}/api`, token: TOKEN, states, seen, close };
}

interface Asked {
  states: House['states'];
  request: IncomingMessage;
  response: ServerResponse;
}

function answer({ states, request, response }: Asked, body: string): void {
  const { method = '', url = '' } = request;
  const say = (status: number, value: unknown) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  const [, entity] = /^\/api\/states\/([a-z_]+\.[a-z_]+)$/.exec(url) ?? [];
  const [, domain = '', service = ''] = /^\/api\/services\/(\w+)\/(\w+)$/.exec(url) ?? [];
  if (method === 'GET' && url === '/api/') return say(200, { message: 'API running.' });
  if (method === 'GET' && url === '/api/states')
    return say(
      200,
      [...states.keys()].map((id) => stateOf(states, id)),
    );
  if (method === 'GET' && url === '/api/services') return say(200, Object.entries(SERVICES).map(serviceOf));
  if (method === 'GET' && entity)
    return states.has(entity) ? say(200, stateOf(states, entity)) : say(404, { message: 'Entity not found.' });
  if (method !== 'POST' || domain === '') return void response.writeHead(404).end('404: Not Found');
  const state = SERVICES[domain]?.[service];
  const data = dataOf(body);
  if (data === undefined) return say(400, { message: 'Data should be valid JSON.' });
  if (state === undefined) return say(400, { message: 'Bad Request' });
  const changed = data.filter((id) => id.startsWith(`${domain}.`) && states.has(id) && states.get(id) !== state);
  for (const id of changed) states.set(id, state);
  say(
    200,
    changed.map((id) => stateOf(states, id)),
  );
}

const serviceData = z.object({ entity_id: z.union([z.string(), z.array(z.string())]).default([]) });

/** The entities that are meant; undefined when it is no JSON object. */
function dataOf(body: string): string[] | undefined {
  try {
    return [serviceData.parse(JSON.parse(body || '{}')).entity_id].flat();
  } catch {
    return undefined;
  }
}

const stateOf = (states: House['states'], id: string) => ({
  ...{ entity_id: id, state: states.get(id), last_changed: '2027-01-11T09:00:00+00:00' },
  attributes: { friendly_name: id.replace(/^.*\./, '').replaceAll('_', ' ') },
});

const serviceOf = ([domain, services]: [string, Record<string, string>]) => ({
  domain,
  services: Object.fromEntries(Object.keys(services).map((name) => [name, { name, fields: { entity_id: {} } }])),
});
