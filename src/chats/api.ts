// The JSON API about groups and chats, and about becoming the owner of a channel.
import { once } from 'node:events';
import type { Hono } from 'hono';
import { z } from 'zod';
import { needsPerson } from '../channels/channel.js';
import type { RunningChannels } from '../channels/start.js';
import type { Clock } from '../core/clock.js';
import { readBody, refuse } from '../core/http.js';
import { type Chat, type Group, progressMode, sendersPolicy } from '../core/types.js';
import type { Store as EgressStore } from '../egress/store.js';
import { plainAddress } from '../groups/forums.js';
import type { Store as TasksStore } from '../tasks/store.js';
import type { Pairing } from './pairing.js';
import { folderProblem, registerChat } from './registration.js';

const LINK_WAIT_MS = 10_000;

const registration = z.object({
  folder: z.string(),
  /** Also all other topics of the forum that the chat is part of. */
  forum: z.boolean().default(false),
  senders: sendersPolicy.default('all'),
  listed: z.array(z.string().min(1).max(200)).max(500).default([]),
});

const chatChange = z.strictObject({ progress: progressMode });

export interface ChatApiDeps {
  store: TasksStore & EgressStore;
  clock: Clock;
  pairing: Pick<Pairing, 'open'>;
  channels: Pick<RunningChannels, 'get' | 'names' | 'states' | 'link'>;
}

export const chatApi = (deps: ChatApiDeps) => (app: Hono) => {
  addChats(app, deps);
  app.get('/api/pairing', (c) => c.json(pairing(deps)));
  app.post('/api/pairing', async (c) => {
    deps.channels.link();
    const over = AbortSignal.timeout(LINK_WAIT_MS);
    const isAsking = () => deps.channels.states().some(({ state, link }) => state === 'linking' && !link);
    while (isAsking() && !over.aborted)
      await once(deps.store.signals, 'channel', { signal: over }).catch(() => undefined);
    return c.json(pairing(deps));
  });
};

/** What makes somebody the owner of a channel, and what links a channel to its account. */
const pairing = ({ channels, pairing: codes }: ChatApiDeps) => ({
  // `link`: opens the chat with the code in it, where the channel has such addresses.
  pairing: codes
    .open(channels.names())
    .map((one) => ({ ...one, link: channels.get(one.channel)?.pairingLink?.(one.code) })),
  linking: channels
    .states()
    .flatMap(({ name, state, detail, link }) =>
      link || needsPerson(state) ? [{ channel: name, detail, ...link }] : [],
    ),
});

function addChats(app: Hono, deps: ChatApiDeps): void {
  const { groups, egress, taints, groupModels, pauses } = deps.store;
  app.get('/api/groups', (c) => {
    // The group's own mode; null: that of the settings counts.
    const view = (group: Group) => ({
      ...group,
      egressMode: egress.ownMode(group.id),
      taint: taints.isOn(group.id) ? 'on' : 'off',
      // Null: that of the settings.
      model: groupModels.of(group.id) ?? null,
      pausedAt: pauses.of(group.id)?.pausedAt ?? null,
      chats: groups.chatsOf(group.id),
    });
    return c.json({ groups: groups.all().map(view) });
  });
  app.get('/api/chats', (c) => {
    const folderOf = ({ groupId }: Chat) => (groupId === null ? undefined : groups.get(groupId)?.folder) ?? null;
    return c.json({ chats: groups.chats().map((chat) => ({ ...chat, folder: folderOf(chat) })) });
  });
  app.patch('/api/chats/:id{.+}', async (c) => {
    const { progress } = await readBody(c, chatChange);
    const chat = groups.findChat(c.req.param('id'));
    if (!chat) throw refuse(404, 'not_found', `there is no chat "${c.req.param('id')}"`, 'GET /api/chats lists them');
    groups.setProgress(chat.id, progress);
    return c.json({ chat: groups.chat(chat.id) });
  });
  app.post('/api/chats/:id{.+}/register', async (c) => {
    const { folder, senders, listed, forum } = await readBody(c, registration);
    const problem = folderProblem(folder);
    if (problem) throw refuse(400, 'bad_request', problem);
    const chat = deps.store.transaction(() => {
      const before = groups.findChat(c.req.param('id')) ?? firstSight(deps, c.req.param('id'));
      registerChat(deps, before, { folder, sendersPolicy: senders, listed, forum });
      return groups.chat(before.id);
    });
    return c.json({ chat: { ...chat, folder } });
  });
}

/** A chat that has not written yet can be registered beforehand by its address. Throws `not_found` for anything else. */
function firstSight({ store, clock, channels }: ChatApiDeps, name: string): Chat {
  const [, channel, written] = /^([^:]+):(\S{1,200})$/.exec(name) ?? [];
  if (channel === undefined || written === undefined || !channels.names().includes(channel)) {
    const hint = 'GET /api/chats lists them; one that has not written yet is <channel>:<address>';
    throw refuse(404, 'not_found', `there is no chat "${name}"`, hint);
  }
  const address = plainAddress(written);
  // Taken for direct, a room would have every word in it start work. The first message says what it is.
  const kind = channels.get(channel)?.kindOf?.(address) ?? 'group';
  return store.groups.seenChat({ channel, address, kind, title: address, now: clock.now() });
}
