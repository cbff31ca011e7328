// What a person sees while a run works, on a real client of a platform against its fake: of the built-in channels in
// real-channels.test.ts, one that a skill adds brings its own. The clock is twenty times as fast.
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import type { ChannelHost } from '../../../test/fakes/channel-host.js';
import { HANG_MS } from '../../../test/limits.js';
import type { Channel } from '../../channels/channel.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { startDelivery } from '../../delivery/delivery.js';
import { createOutboxFiles } from '../../delivery/files.js';
import { openStore } from '../../store.js';
import { createProgress } from '../show.js';

const SPEED = 20;
const began = Date.now();
const now = () => began + (Date.now() - began) * SPEED;
const clock: Clock = {
  ...systemClock,
  now,
  at: (at, fire) => systemClock.at(Date.now() + (at - now()) / SPEED, fire),
  sleep: (ms, signal) => systemClock.sleep(ms / SPEED, signal),
};

/** What ends after the test, the last one first. */
export const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** One person in a direct chat with a channel that is not started yet. */
export interface Scene {
  host: ChannelHost;
  channel: Channel;
  address: string;
  shows(): string[];
  /** How often a phone rang. */
  rang(): number;
}

export function testProgress(name: string, start: () => Promise<Scene>): void {
  test(`${name}: progress is shown, changed, and turned into the answer; a phone rings once`, () =>
    showAndAnswer(name, start));
}

async function showAndAnswer(name: string, start: () => Promise<Scene>): Promise<void> {
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
  await vi.waitFor(() => expect(shows()).toEqual([expect.stringContaining('Reading report.pdf')]), HANG_MS);
  tool('b', 'web_fetch', { url: 'https://example.com/x' });
  await vi.waitFor(() => expect(shows()).toEqual([expect.stringContaining('Looking at example.com')]), HANG_MS);
  const ringsBefore = rang();
  expect(ringsBefore).toBe(channel.edits?.silent ? 0 : 1);
  store.transaction(() => {
    store.runs.finish({ id: run.id, holder: 'me', attempt: 1 }, 'done', now());
    store.outbox.add({ key: `${run.id}:end:1`, chatId: chat.id, runId: run.id, text: 'It is **42**.', now: now() });
  });
  store.signal('run:ended', run.id);
  await vi.waitFor(() => expect(shows().map((text) => text.replaceAll('*', ''))).toEqual(['It is 42.']), HANG_MS);
  await vi.waitFor(() => expect(store.progress.all()).toEqual([]), HANG_MS);
  expect(rang()).toBe(1);
}
