// What a container does to call the host, without the container: HTTP through the real gateway, over one connection for each call.
import http from 'node:http';
import { duplexPair } from 'node:stream';
import { json } from 'node:stream/consumers';
import { pino } from 'pino';
import { z } from 'zod';
import type { Clock } from '../../src/core/clock.js';
import { createGateway, type Hold, type Link, type Route } from '../../src/gateway/server.js';
import type { Store } from '../../src/store.js';

const refusal = z.object({ error: z.object({ message: z.string() }) });

/** The returned function posts a body and resolves with the answer; it rejects with the text of a refusal. */
export function createContainerCalls(routes: Route[], clock: Clock, hold?: Hold) {
  const gateway = createGateway({ clock, log: pino({ enabled: false }) });
  gateway.add(routes);
  if (hold) gateway.addHold(hold);
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

export interface GroupAtWork {
  link: Link;
  runId: number;
  chatId: number;
}

/** A group whose agent works on a run, in a chat of its name. */
export function groupAtWork(store: Store, folder: string, isMain: boolean): GroupAtWork {
  const group = store.groups.ensure(folder, isMain, 1);
  const chat = store.groups.seenChat({ channel: 'telegram', address: folder, kind: 'group', title: folder, now: 1 });
  store.groups.assignChat(chat.id, group.id);
  const of = { groupId: group.id, chatId: chat.id, session: folder };
  const runId = store.runs.enqueue({ key: folder, kind: 'message', ...of, runAt: 0, now: 0 }) ?? 0;
  store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
  return { link: { groupId: group.id, startedAt: 0, onWork: () => undefined }, runId, chatId: chat.id };
}
