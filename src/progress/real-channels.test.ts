// The real clients of Telegram and WhatsApp: what a person sees while a run works, and what is left of it. The clock is twenty times as fast.

import { tmpdir } from 'node:os';
import { BufferJSON } from '@whiskeysockets/baileys';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { type ChannelHost, createChannelHost } from '../../test/fakes/channel-host.js';
import { startFakeTelegram } from '../../test/fakes/telegram.js';
import { startFakeWhatsApp } from '../../test/fakes/whatsapp.js';
import { screenOf } from '../../test/fakes/whatsapp-screen.js';
import type { Channel } from '../channels/channel.js';
import { telegram } from '../channels/telegram.js';
import { whatsapp } from '../channels/whatsapp.js';
import { type Clock, systemClock } from '../core/clock.js';
import { startDelivery } from '../delivery/delivery.js';
import { createOutboxFiles } from '../delivery/files.js';
import { openStore } from '../store.js';
import { createProgress } from './show.js';

const SPEED = 20;
const began = Date.now();
const now = () => began + (Date.now() - began) * SPEED;
const clock: Clock = {
  ...systemClock,
  now,
  at: (at, fire) => systemClock.at(Date.now() + (at - now()) / SPEED, fire),
  sleep: (ms, signal) => systemClock.sleep(ms / SPEED, signal),
};

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Scene {
  host: ChannelHost;
  channel: Channel;
  address: string;
  shows(): string[];
  /** How often a phone rang. */
  rang(): number;
}

async function onTelegram(): Promise<Scene> {
  const fake = await startFakeTelegram();
  closing.push(fake.close);
  const chat = fake.privateChat(fake.user({ id: 11, first_name: 'Anna' }));
  const host = createChannelHost();
  const channel = await telegram.create({ TELEGRAM_BOT_TOKEN: fake.token, TELEGRAM_API_ROOT: fake.url }, host.deps);
  if (!channel) throw new Error('off');
  const shown = () => [...new Map([...fake.silent, ...fake.sent].map((sent) => [sent.message_id, sent.plain]))];
  const isThere = (id: number) => !fake.deleted.some(({ message_id: gone }) => gone === id);
  return {
    ...{ host, channel, address: String(chat.id) },
    shows: () => shown().flatMap(([id, text]) => (isThere(id) ? [text] : [])),
    rang: () => fake.sent.length,
  };
}

async function onWhatsApp(): Promise<Scene> {
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
  const fake = await startFakeWhatsApp();
  closing.push(fake.close);
  const anna = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Anna' });
  const host = createChannelHost();
  host.deps.storage.set([
    { kind: 'creds', id: 'creds', value: JSON.stringify(fake.linkedCreds(), BufferJSON.replacer) },
    { kind: 'meta', id: 'linked-at', value: '1' },
  ]);
  const env = whatsapp.env.parse({ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url });
  const channel = await whatsapp.create(env, host.deps);
  if (!channel) throw new Error('off');
  const screen = () => screenOf(anna.received);
  const isNew = ({ message: { protocolMessage, reactionMessage } }: (typeof anna.received)[number]) =>
    !protocolMessage && !reactionMessage;
  return {
    ...{ host, channel, address: anna.phone },
    shows: () => screen().map(({ text }) => text),
    rang: () => anna.received.filter(isNew).length,
  };
}

test.each([
  ['telegram', onTelegram],
  ['whatsapp', onWhatsApp],
])('%s: progress is shown, changed, and turned into the answer; a phone rings once', async (name, start) => {
  const { host, channel, address, shows, rang } = await start();
  closing.push(() => channel.stop());
  channel.start();
  await host.untilState('open');
  const store = openStore(':memory:');
  const log = pino({ level: 'silent' });
  const main = store.groups.ensure('main', true, 1);
  const chat = store.groups.seenChat({ channel: name, address, kind: 'direct', title: 'Anna', now: 1 });
  store.groups.assignChat(chat.id, main.id);
  const channels = {
    get: (one: string) => (one === name ? channel : undefined),
    ...{ isBlocked: () => false, states: () => [{ name, state: 'open' as const, detail: '' }] },
  };
  const progress = createProgress({ store, clock, log, channels });
  progress.start();
  const delivery = startDelivery({
    ...{ store, clock, log, ...channels, channel: channels.get, config: { assistantName: 'Pinch' }, passing: progress },
    ...{ outboxFiles: createOutboxFiles(tmpdir()), notifyOwner: () => undefined, ownerChat: () => chat },
  });
  closing.push(() => progress.stop().then(delivery.stop));

  const at = { runAt: now(), now: now() };
  store.runs.enqueue({ key: 'k', kind: 'replay', groupId: main.id, chatId: chat.id, session: 's', ...at });
  const run = store.runs.claim({ holder: 'me', now: now(), excludeGroups: [] });
  if (!run) throw new Error('no run');
  store.signal('run:started', run.id);
  const tool = (id: string, tool: string, input: object) =>
    store.transaction(() => {
      store.events.add(run.id, now(), 'tool_started', { id, tool, input: JSON.stringify(input) });
      store.signal('run:event', run.id);
    });
  tool('a', 'read', { path: 'report.pdf' });
  await vi.waitFor(() => expect(shows()).toEqual([expect.stringContaining('Reading report.pdf')]), 20_000);
  tool('b', 'web_fetch', { url: 'https://example.com/x' });
  await vi.waitFor(() => expect(shows()).toEqual([expect.stringContaining('Looking at example.com')]), 20_000);
  const ringsBefore = rang();
  expect(ringsBefore).toBe(name === 'telegram' ? 0 : 1);
  store.transaction(() => {
    store.runs.finish({ id: run.id, holder: 'me', attempt: 1 }, 'done', now());
    store.outbox.add({ key: `${run.id}:end:1`, chatId: chat.id, runId: run.id, text: 'It is **42**.', now: now() });
  });
  store.signal('run:ended', run.id);
  const answer = name === 'telegram' ? 'It is 42.' : 'It is *42*.';
  await vi.waitFor(() => expect(shows()).toEqual([answer]), 20_000);
  await vi.waitFor(() => expect(store.progress.all()).toEqual([]), 20_000);
  expect(rang()).toBe(1);
});
