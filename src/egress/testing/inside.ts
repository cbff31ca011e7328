// A gateway with the proxy behind a port of this machine: what connects there is a program in a container of the group `main`, which works on a
// run. Names resolve as the test says, nothing is asked outside.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { pino } from 'pino';

import { createApprovals } from '../../approvals/approvals.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { createGateway, type Link } from '../../gateway/server.js';
import { createGuards } from '../../secrets/guards.js';
import { createSecrets } from '../../secrets/secrets.js';
import { openStore } from '../../store.js';
import { createEgressAsker } from '../ask.js';
import { createConnections, type Limits } from '../connections.js';
import { dryGuards } from '../dry.js';
import { createGroupPolicy } from '../group-policy.js';
import { createLookupQueue } from '../lookup.js';
import { createProxy } from '../proxy.js';

export type Inside = Awaited<ReturnType<typeof startInside>>;

export async function startInside(options: { clock?: Clock; limits?: Limits } = {}) {
  const { clock = systemClock, ...more } = options;
  const log = pino({ enabled: false });
  const secrets = createSecrets();
  const { store, ...guards } = createGuards({ secrets, store: openStore(':memory:'), clock, log });
  const group = store.groups.ensure('main', true, 1);
  const chat = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
  store.groups.assignChat(chat.id, group.id);
  const run = {
    key: 'r',
    kind: 'message' as const,
    groupId: group.id,
    chatId: chat.id,
    session: 's',
    runAt: 0,
    now: 0,
  };
  const runId = store.runs.enqueue(run) ?? 0;
  const names = new Map<string, string[] | Promise<string[]>>();
  const asked: string[] = [];
  const lookup = async (host: string): Promise<string[]> => {
    asked.push(host);
    const addresses = await names.get(host);
    if (!addresses) throw Object.assign(new Error('no such host'), { code: 'ENOTFOUND' });
    return addresses;
  };
  const signals = store.signals;
  const approvals = createApprovals({
    ...{ store, clock, config: { timeZone: 'UTC' }, ownerChat: () => chat, stopped: () => false },
  });
  const askOwner = createEgressAsker({ store, clock, approvals });
  const policy = createGroupPolicy({ store, config: { egressMode: 'ask' }, clock, askOwner });
  const connections = createConnections({ policy, clock, log, lookup: createLookupQueue(lookup), ...more });
  signals.on('run:ended', connections.flush);
  const gateway = createGateway({ clock, log });
  gateway.addMask(guards.given);
  gateway.add([{ method: 'GET', path: '/hello', serve: ({ response }) => void response.end('hello') }]);
  gateway.addProxy(createProxy(connections, { ...guards, ...dryGuards({ store, clock }) }));
  const link: Link = { groupId: group.id, startedAt: 0, onWork: () => undefined };
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)));
    gateway.connect(link, socket);
  });
  const port = await listen(server);
  /** What somebody wrote; `attach`: for the run. */
  const say = (
    text: string,
    more: { edited?: boolean; platformId?: string; mayAsk?: boolean; forwarded?: boolean } = {},
  ) => {
    const who = { senderId: 1, senderName: 'Anna', role: 'owner' as const, direction: 'in' as const };
    const id = store.messages.add({ ...who, chatId: chat.id, platformId: text, text, sentAt: 1, now: 1, ...more }) ?? 0;
    store.runs.attachMessages(runId, chat.id, id);
  };
  store.groups.seenSender({ channel: 'web', address: 'owner', name: 'Anna', username: null });
  store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
  return {
    /** From now on the run is a dry one, in a container of its own. */
    goDry(): void {
      store.statements.run<[]>('UPDATE runs SET dry = 1')();
      link.dryRun = runId;
    },
    ...{
      store,
      secrets,
      guards,
      approvals,
      gateway,
      port,
      group,
      runId,
      chatId: chat.id,
      names,
      asked,
      connections,
      link,
      say,
    },
    proxy: `http://127.0.0.1:${port}`,
    /** A host of the owner at this machine. */
    allow: (host: string, ports: number[], address: string | null = '127.0.0.1') =>
      store.egress.put({ groupId: null, host, ports, address, until: null, now: 1 }),
    events: () => {
      // At the end of a run what waits is written.
      signals.emit('run:ended', runId);
      return store.events
        .ofRun(runId)
        .filter(({ kind }) => kind === 'egress')
        .map(({ detail }) => detail);
    },
    async close() {
      connections.close();
      for (const socket of sockets) socket.destroy();
      gateway.close();
      server.close();
      store.close();
    },
  };
}

/** On 127.0.0.1; resolves with the port. */
export async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
