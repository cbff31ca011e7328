// The WhatsApp channel with the real Baileys, the fake server it talks to, and the host it reports to: one set per test.
import { BufferJSON } from '@whiskeysockets/baileys';
import { type ChannelHost, createChannelHost } from '../../../test/fakes/channel-host.js';
import { createFakeClock, type FakeClock } from '../../../test/fakes/clock.js';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from '../../../test/fakes/whatsapp.js';
import { type Clock, systemClock } from '../../core/clock.js';
import type { Channel, ChannelRow, ChannelState } from '../channel.js';
import { whatsapp } from '../whatsapp.js';

export interface WhatsAppSetup {
  fake: FakeWhatsApp;
  host: ChannelHost;
  ann: Peer;
  /** A channel as a fresh process would create it, on the same storage. */
  create(env?: Record<string, string>): Channel;
  /** Stores a device that was linked a while ago. */
  seedLinked(): void;
  /** Starts a device that is linked already; resolves once it is open. */
  connect(env?: Record<string, string>): Promise<Channel>;
  /** The states so far, without their details. */
  states(): string[];
  /** How often that state was reported. */
  count(state: ChannelState['state']): number;
  untilCount(state: ChannelState['state'], times: number): Promise<void>;
  /** The code that is shown now. */
  link(): ChannelState['link'];
  /** The credentials, as they are stored; undefined without. */
  storedCreds(): string | undefined;
  /** Resolves once a person's words arrived: a channel that only says that it is open is not enough. */
  expectToHear(text: string): Promise<void>;
  /** Pauses before another connection, without those that end an unanswered wait. */
  backOff(): number[];
  /** Time stands still from now on, but for `advance`; pauses are recorded all the same. */
  stopTime(): FakeClock;
  /** Pauses that are not over. */
  sleeping(): number;
  /** Everything the channel ever stored, oldest first. */
  written: ChannelRow[];
  close(): Promise<void>;
}

/** After so long the channel gives up waiting. A slow machine must not look like somebody who does not answer. */
const WAITS_MS = [3_000, 120_000];
const STEADY_MS = 60_000;

/** Starts the fake server; `close` it at the end of the test. */
export async function setUpWhatsApp(): Promise<WhatsAppSetup> {
  const fake = await startFakeWhatsApp({ phone: '491700000000' });
  const ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  const host = createChannelHost();
  const written = recordWrites(host);
  const pauses = { running: 0 };
  const use = ({ sleep, ...clock }: Clock) => {
    host.deps.clock = {
      ...clock,
      async sleep(ms, signal) {
        pauses.running += 1;
        await sleep(ms, signal);
        pauses.running -= 1;
      },
    };
  };
  const short = host.deps.clock;
  use({ ...short, sleep: (ms, signal) => (WAITS_MS.includes(ms) ? systemClock : short).sleep(ms, signal) });
  const channels: Channel[] = [];
  const create: WhatsAppSetup['create'] = (env = {}) => {
    const settings = whatsapp.env.parse({ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url, ...env });
    const channel = whatsapp.create(settings, host.deps);
    if (!channel) throw new Error('the channel is off');
    channels.push(channel);
    return channel;
  };
  const seedLinked = () =>
    host.deps.storage.set([
      { kind: 'creds', id: 'creds', value: JSON.stringify(fake.linkedCreds(), BufferJSON.replacer) },
      { kind: 'meta', id: 'linked-at', value: '1' },
    ]);
  const states = () => host.states.map(({ state }) => state);
  const count: WhatsAppSetup['count'] = (state) => states().filter((one) => one === state).length;
  return {
    ...{ fake, host, ann, written, create, seedLinked, states, count },
    untilCount: (state, times) => host.until(() => count(state) === times),
    link: () => host.states.at(-1)?.link,
    storedCreds: () => host.deps.storage.get('creds', ['creds']).creds,
    async expectToHear(text) {
      await ann.says(text, { encrypted: true });
      await host.until(() => host.texts().includes(text));
    },
    async connect(env) {
      seedLinked();
      const channel = create(env);
      channel.start();
      await host.untilState('open');
      return channel;
    },
    backOff: () => host.pauses.filter((ms) => ms !== STEADY_MS && !WAITS_MS.includes(ms)),
    stopTime() {
      const clock = createFakeClock(Date.now());
      const sleep: Clock['sleep'] = (ms, signal) => {
        host.pauses.push(ms);
        return clock.sleep(ms, signal);
      };
      use({ ...clock, random: short.random, sleep });
      return clock;
    },
    sleeping: () => pauses.running,
    async close() {
      for (const channel of channels) await channel.stop();
      await fake.close();
    },
  };
}

function recordWrites({ deps }: ChannelHost): ChannelRow[] {
  const written: ChannelRow[] = [];
  const { storage } = deps;
  deps.storage = {
    ...storage,
    set(rows) {
      storage.set(rows);
      written.push(...rows);
    },
  };
  return written;
}
