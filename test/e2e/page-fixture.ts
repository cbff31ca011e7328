// The page on a real store and intake in a temporary home, with no container behind it: tests play the assistant.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createApprovalModule } from '../../src/approvals/module.js';
import { createBudgetModule } from '../../src/budgets/module.js';
import type { Button } from '../../src/channels/channel.js';
import { telegram } from '../../src/channels/telegram.js';
import { chatApi } from '../../src/chats/api.js';
import { chatCommands } from '../../src/chats/commands.js';
import { createIntake } from '../../src/chats/intake.js';
import { createPairing } from '../../src/chats/pairing.js';
import { unwatched } from '../../src/core/begun.js';
import { type Clock, systemClock } from '../../src/core/clock.js';
import { loadConfig } from '../../src/core/config.js';
import { createSetAside } from '../../src/core/set-aside.js';
import { sessionName } from '../../src/core/types.js';
import { createOwnerChat } from '../../src/delivery/notices.js';
import { egressApi } from '../../src/egress/api.js';
import { opsApi } from '../../src/ops/api.js';
import type { StatusSnapshot } from '../../src/ops/status.js';
import { loadPageToken } from '../../src/page/auth.js';
import { type PageDeps, startPage } from '../../src/page/server.js';
import { runApi } from '../../src/runs/api.js';
import { openStore } from '../../src/store.js';
import { taskApi } from '../../src/tasks/api.js';
import { taskCommands } from '../../src/tasks/commands.js';
import { createHooks } from '../../src/tasks/hooks.js';
import { createTasks } from '../../src/tasks/tasks.js';
import { createChannelHost } from '../fakes/channel-host.js';

export interface PageFixtureOptions {
  clock?: Clock;
  markdownToSafeHtml?: (text: string) => string;
}

export type PageFixture = Awaited<ReturnType<typeof startPageFixture>>;

const escapeHtml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

export async function startPageFixture(options: PageFixtureOptions = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'pinch-page-'));
  const clock = options.clock ?? systemClock;
  const store = openStore(join(dataDir, 'pinch.db'));
  const signals = store.signals;
  const log = pino({ level: 'silent' });
  const pairing = createPairing(store);
  const token = loadPageToken(dataDir);
  const state = { ready: true, stops: [] as string[], status: initialStatus(clock.now()) };
  const emergencyStop = (reason: string) => {
    state.stops.push(reason);
    state.status.stopped = true;
    signals.emit('daemon');
  };
  const tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
  const setAside = createSetAside({ store, clock, log, begun: unwatched, notifyOwner: () => undefined });
  const hooks = createHooks({ store, clock, tasks, takeIn: setAside.takeIn });
  const control = {
    emergencyStop,
    resume: () => {
      state.status.stopped = false;
      signals.emit('daemon');
    },
    status: (): StatusSnapshot => state.status,
  };
  const channel = await telegram.create({ TELEGRAM_BOT_TOKEN: `1:${'a'.repeat(20)}` }, createChannelHost().deps);
  const channels = {
    names: () => state.status.channels.map(({ name }) => name),
    states: () => state.status.channels,
    link: () => undefined,
    get: (name: string) => (name === 'telegram' ? channel : undefined),
  };
  const base = { store, clock, log, config: { assistantName: 'Pinch', timeZone: 'UTC' } };
  const ownerChat = createOwnerChat({ store, clock, isBlocked: () => false });
  const config = { ...loadConfig({ PINCH_HOME: dataDir }, process.cwd()), ...base.config, dataDir };
  const approvals = createApprovalModule({ ...base, config, ownerChat, stopped: () => state.status.stopped });
  const budgets = createBudgetModule({
    ...base,
    config: { ...base.config, budgets: { month: 100_000_000, day: 10_000_000, group: 5_000_000, run: 2_000_000 } },
    notifyOwner: () => undefined,
    taskCap: store.tasks.capOfRun,
    runCap: store.runs.limitOf,
    taskTitle: (id) => store.tasks.get(id)?.title,
    pauseTask: () => undefined,
  });
  const commands = [
    ...budgets.commands,
    ...chatCommands({ ...base, control, resumeButtons: () => [] }),
    ...taskCommands({ store, tasks }),
  ];
  const intake = createIntake({
    ...base,
    pairing,
    commands,
    assistantName: 'Pinch',
    owner: undefined,
    askToRegister: { forCall: () => undefined },
  });
  const deps: PageDeps = {
    port: 0,
    config,
    store,
    clock,
    log,
    token,
    intake,
    api: [
      runApi({
        ...base,
        config: { runtime: 'docker' },
        stopSwitch: { stopped: () => false },
        reopenSlot: store.tasks.reopenSlot,
      }),
      chatApi({ ...base, pairing, channels }),
      budgets.api,
      taskApi({ store, tasks, hooks, ownerChat: () => webChat() }),
      approvals.api,
      egressApi({ store, clock, config: { egressMode: 'ask' } }),
      opsApi({
        ...{ ...base, config, environment: {}, containers: { pool: { containers: () => [] }, sandbox: {} } },
        control,
        setAside,
        promptParts: () => [{ name: 'notes', kind: 'http', groups: ['main'], adds: 'a line', tokens: 12 }],
      }),
    ],
    ready: () => state.ready,
    status: () => control.status(),
    markdownToSafeHtml: options.markdownToSafeHtml ?? ((text) => `<p>${escapeHtml(text)}</p>`),
  };
  const running = { page: await startPage(deps) };
  const port = Number(new URL(running.page.url).port);

  const webChat = () => {
    const chat = store.groups.chatByAddress('web', 'owner');
    if (!chat) throw new Error('nobody wrote on the page yet');
    return chat;
  };
  return {
    deps,
    store,
    signals,
    intake,
    tasks,
    hooks,
    approvals,
    pairing,
    channels,
    control,
    token,
    dataDir,
    state,
    port,
    url: running.page.url,
    webChat,
    /** A request as the owner's scripts make it: with the bearer token, JSON in and out. */
    async api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
      const response = await fetch(running.page.url + path, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : jsonHeader) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: await response.json() };
    },
    /** What delivery does once the web channel took a message. */
    reply(text: string, buttons?: Button[]): number {
      const chat = webChat();
      const now = clock.now();
      const key = `reply:${store.messages.latest(chat.id, 1)[0]?.id ?? 0}:${text.length}`;
      store.outbox.add({ key, chatId: chat.id, runId: null, text, buttons, now });
      const row = store.outbox.list(1)[0];
      store.outbox.sent(row?.id ?? 0, now);
      const id = store.messages.add({
        chatId: chat.id,
        outboxId: row?.id ?? null,
        direction: 'out',
        platformId: key,
        senderId: null,
        senderName: 'Pinch',
        text,
        sentAt: now,
        now,
      });
      signals.emit('message', chat.id);
      if (id === undefined) throw new Error('the same reply twice');
      return id;
    },
    /** What the queue does when it takes the chat's run. Returns how to end it. */
    work() {
      const now = clock.now();
      const run = store.runs.claim({ holder: 'test', now, excludeGroups: [] });
      if (!run) throw new Error(`no run is ready in ${sessionName(webChat())}`);
      signals.emit('run:started', run.id);
      return {
        run,
        end(outcome: 'done' | 'cancelled') {
          store.runs.finish({ id: run.id, holder: 'test', attempt: run.attempt }, outcome, clock.now());
          signals.emit('run:ended', run.id);
        },
      };
    },
    /** The daemon goes away and comes back, on the same port or on that of another one. */
    async down() {
      await running.page.close();
    },
    async up(at = port) {
      running.page = await startPage({ ...deps, port: at });
    },
    async close() {
      await running.page.close();
      store.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const jsonHeader = { 'content-type': 'application/json' };

function initialStatus(now: number): StatusSnapshot {
  return {
    version: '0.1.0',
    startedAt: now - 90_000,
    lastEnd: null,
    outage: null,
    assistantName: 'Pinch',
    model: 'claude-sonnet-5-5',
    fallback: null,
    backend: 'http',
    stopped: false,
    engine: { state: 'up', detail: 'test' },
    channels: [
      { name: 'telegram', state: 'open', detail: '@pinch_bot' },
      { name: 'web', state: 'open', detail: '' },
    ],
    containers: [],
    servers: [],
    groups: [{ folder: 'main', chats: 1, parked: null, ownSkills: [], skillsLeftOut: [] }],
    runs: { ready: 1, done: 2 },
    outboxQueued: 3,
    costTodayMicroUsd: 0,
    budgetDayMicroUsd: 10_000_000,
    approvalsOpen: 0,
    heldChats: [],
    text: 'all is well',
  };
}
