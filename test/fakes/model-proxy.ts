// A model proxy on a port of its own between the real SDK and the strict fake, with books in memory. For tests.
import http from 'node:http';
import Anthropic from '@anthropic-ai/sdk';
import { pino } from 'pino';
import { decideBudget } from '../../src/budgets/caps.js';
import { type Clock, systemClock } from '../../src/core/clock.js';
import type { Backend } from '../../src/core/config.js';
import { createBounds } from '../../src/gateway/bounds.js';
import type { Fallback } from '../../src/model/fallback.js';
import { type Ledger, modelRoutes } from '../../src/model/model.js';
import type { CallEnd } from '../../src/model/outage.js';
import type { ModelCallRow } from '../../src/model/rows.js';
import { type FakeAnthropic, startFakeAnthropic } from './anthropic.js';

/** The credential only the fake may see. */
export const KEY = 'sk-ant-real-key-of-the-owner';

function memoryLedger(limitMicroUsd: number) {
  const calls: ModelCallRow[] = [];
  const watchers = new Set<() => void>();
  const state = { reserved: 0, mostReserved: 0, stopped: false };
  const spent = () => calls.reduce((sum, call) => sum + call.costMicroUsd, 0);
  const fits = ({ costMicroUsd }: ModelCallRow) => {
    const cap = { name: 'group' as const, limit: limitMicroUsd, spent: spent() + state.reserved, held: 0 };
    return decideBudget(costMicroUsd, [cap]).kind === 'fits';
  };
  const ledger: Ledger = {
    fits,
    reserve(call) {
      const { costMicroUsd: worstCase } = call;
      if (!fits(call)) return { status: 402, type: 'billing_error', message: 'the budget is used up' };
      state.reserved += worstCase;
      state.mostReserved = Math.max(state.mostReserved, state.reserved);
      return {
        settle(actual) {
          state.reserved -= worstCase;
          calls.push(actual);
          for (const watcher of [...watchers]) watcher();
        },
      };
    },
  };
  const recorded = (count: number) =>
    new Promise<ModelCallRow[]>((resolve) => {
      const check = () => calls.length >= count && resolve(calls);
      watchers.add(check);
      check();
    });
  return { ledger, calls, state, spent, recorded };
}

/** A back end at a URL, with an API key or none. */
export const httpBackend = (baseUrl: string, apiKey?: string): Backend => ({
  kind: 'http',
  baseUrl,
  apiKey,
  authToken: undefined,
  free: true,
});

export interface ProxySetup {
  backend?: (fake: FakeAnthropic) => Backend;
  limitMicroUsd?: number;
  model?: string;
  readOnMs?: number;
  /** The owner switched on the search of the provider. */
  modelSearch?: boolean;
  clock?: Clock;
  /** A second model is there for overloads. */
  isCovered?: boolean;
  /** The one that the owner chose for the group. */
  groupModel?: string;
  /** Hears whether the back end answers. */
  note?(end: CallEnd): void;
  setAside?(): void;
}

/** Starts the three; what must be ended goes into `closers`. */
export async function startProxy(closers: Closer[], setup: ProxySetup = {}) {
  const { backend, limitMicroUsd = 5_000_000, model = hello.model, readOnMs = 200, modelSearch = false } = setup;
  const fake = await startFakeAnthropic({ key: KEY });
  const book = memoryLedger(limitMicroUsd);
  const lines: string[] = [];
  /** Groups into whose containers results of searches came. */
  const searches: number[] = [];
  const ends: Parameters<Fallback['note']>[0][] = [];
  const bounds = createBounds(() => 0)();
  const [route] = modelRoutes({
    backend: () => backend?.(fake) ?? httpBackend(fake.url, KEY),
    config: { modelSearch },
    groupModel: () => setup.groupModel,
    fallback: { models: [model], note: (end) => void ends.push(end), covers: () => setup.isCovered ?? false },
    outage: { note: (end) => setup.note?.(end), setAside: () => setup.setAside?.() },
    modelOf: () => undefined,
    onSearch: (link) => void searches.push(link.groupId),
    stopped: () => book.state.stopped,
    ledger: book.ledger,
    runOf: () => 42,
    readOnMs,
    clock: setup.clock ?? systemClock,
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
  });
  const server = http.createServer((request, response) => {
    response.on('error', () => response.destroy());
    const link = { groupId: 7, startedAt: 0, onWork: () => undefined };
    void route?.serve({ link, request, response, ids: [], room: bounds.room(response) });
  });
  const url = await listen(server, closers);
  closers.push(fake.close);
  const client = new Anthropic({ baseURL: url, authToken: 'link', apiKey: null, maxRetries: 0 });
  return { ...book, fake, url, client, lines, searches, ends };
}

export type Closer = () => Promise<void>;

/** Ends everything, the last started first. */
export async function closeAll(closers: Closer[]): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** Listens on a free port of 127.0.0.1 and gives the URL. */
export async function listen(server: http.Server, closers: Closer[]): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

/** The smallest valid call. */
export const hello: Anthropic.MessageCreateParamsNonStreaming = {
  model: 'claude-sonnet-5-5',
  max_tokens: 1_000,
  messages: [{ role: 'user', content: 'Grüße 🐧' }],
};
/** What a promise rejects with; undefined when it does not. */
export const caught = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
/** The text of a reply. */
export const textOf = (message: Anthropic.Message) =>
  message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
