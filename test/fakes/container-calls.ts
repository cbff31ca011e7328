// What a container does to call the host, without the container: HTTP through the real gateway, over one connection for each call.
import http from 'node:http';
import { duplexPair } from 'node:stream';
import { json } from 'node:stream/consumers';
import { pino } from 'pino';
import { z } from 'zod';
import type { Clock } from '../../src/core/clock.js';
import { createGateway, type Link, type Route } from '../../src/gateway/server.js';

const refusal = z.object({ error: z.object({ message: z.string() }) });

/** The returned function posts a body and resolves with the answer; it rejects with the text of a refusal. */
export function createContainerCalls(routes: Route[], clock: Clock) {
  const gateway = createGateway({ clock, log: pino({ enabled: false }) });
  gateway.add(routes);
  return async (link: Link, path: string, body: object): Promise<unknown> => {
    const [outside, inside] = duplexPair();
    gateway.connect(link, inside);
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request({ path, method: 'POST', createConnection: () => outside }, resolve);
      request.on('error', reject).end(JSON.stringify(body));
    });
    const answer = await json(response);
    if (response.statusCode === 200) return answer;
    throw new Error(refusal.parse(answer).error.message);
  };
}
