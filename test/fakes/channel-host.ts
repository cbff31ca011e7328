// What the daemon is to a channel, for tests: takes its messages, keeps its states and its log, and makes back-off short.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { ChannelDeps, ChannelState, ChannelStorage, InboundMessage } from '../../src/channels/channel.js';
import { type Clock, systemClock } from '../../src/core/clock.js';
import { Unreadable } from '../../src/core/set-aside.js';
import { openStore, type Store } from '../../src/store.js';
import { HANG_MS } from '../limits.js';
import { createWaiters } from './telegram-wait.js';

export interface ChannelHost {
  deps: ChannelDeps;
  /** Every call of `onMessage`, refused ones too. */
  offered: InboundMessage[];
  /** What made no sense. */
  setAside: unknown[];
  /** What `onMessage` returned for: the committed ones. */
  messages: InboundMessage[];
  states: ChannelState[];
  moves: { from: string; to: string }[];
  /** Pauses the channel asked for, ms; they take a hundredth of that. */
  pauses: number[];
  /** Every log line at every level. */
  logLines: string[];
  /** Called inside `onMessage` before the message is committed; throw to refuse it. */
  beforeCommit: (message: InboundMessage) => void;
  /** Called inside `onDisk`; throw, and what was committed is not on disk. */
  beforeDisk: () => void;
  /** Resolves once `look` is true; rejects after `HANG_MS`. */
  until(look: () => boolean): Promise<void>;
  untilState(state: ChannelState['state']): Promise<void>;
  texts(): string[];
}

const SPEED_UP = 100;
/** How long WhatsApp waits for the server's word: a slow machine must not look like a server that says nothing. */
const ACK_TIMEOUT_MS = 30_000;

let database: Store | undefined;
let channels = 0;

/** What a channel keeps; given to the next host, it is a restart. A database takes long to make: all channels of a file are in one. */
export function createStorage(): ChannelStorage {
  database ??= openStore(':memory:');
  channels += 1;
  return database.channelAuth.of(`channel-${channels}`, Date.now);
}

export function createChannelHost(storage: ChannelStorage = createStorage()): ChannelHost {
  const waiters = createWaiters();
  const pauses: number[] = [];
  const clock: Clock = {
    ...systemClock,
    random: () => 0.5,
    sleep(ms, signal) {
      pauses.push(ms);
      return systemClock.sleep(ms / (ms === ACK_TIMEOUT_MS ? SPEED_UP / 10 : SPEED_UP), signal);
    },
  };
  const logLines: string[] = [];
  const host: ChannelHost = {
    offered: [],
    setAside: [],
    messages: [],
    states: [],
    moves: [],
    pauses,
    logLines,
    beforeCommit: () => undefined,
    beforeDisk: () => undefined,
    deps: {
      assistantName: 'Pinch',
      storage,
      folder: join(mkdtempSync(join(tmpdir(), 'pinch-channel-')), 'files'),
      clock,
      log: pino({ level: 'trace' }, { write: (line: string) => void logLines.push(line) }),
      onMessage(message) {
        host.offered.push(message);
        try {
          host.beforeCommit(message);
          host.messages.push(message);
        } finally {
          waiters.notify();
        }
      },
      onDisk: async () => host.beforeDisk(),
      takeIn(_, raw, work) {
        try {
          work();
          return true;
        } catch (error) {
          if (!(error instanceof Unreadable)) throw error;
          host.setAside.push(raw);
          return false;
        }
      },
      onState(state) {
        host.states.push(state);
        waiters.notify();
      },
      nameOf: (address) =>
        host.messages.findLast(({ sender }) => [sender.address, sender.alias].includes(address))?.sender.name,
      onChatMoved(from, to) {
        host.moves.push({ from, to });
        waiters.notify();
      },
    },
    until: async (look) => {
      const progress = () =>
        `${host.messages.length} messages, states ${host.states.map(({ state }) => state).join(' ')}`;
      await waiters.until(() => look() || undefined, HANG_MS, progress);
    },
    untilState: (state) => host.until(() => host.states.at(-1)?.state === state),
    texts: () => host.messages.map((message) => message.text),
  };
  return host;
}
