// The daemon on one page: what is started in which order, and how it ends.
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChannelState, needsPerson } from './channels/channel.js';
import { safeHtmlInSlices as markdownToSafeHtml } from './channels/format.js';
import * as definitions from './channels/index.js';
import { createChannels, type RunningChannels } from './channels/start.js';
import { createIntake } from './chats/intake.js';
import { createPairing } from './chats/pairing.js';
import { createWake } from './core/bells.js';
import { systemClock } from './core/clock.js';
import { type Config, type Env, loadConfig } from './core/config.js';
import { describeError, PinchError } from './core/errors.js';
import { createLog, type Logger } from './core/log.js';
import { oneLine } from './core/one-line.js';
import { qrForTerminal } from './core/qr.js';
import { startDelivery } from './delivery/delivery.js';
import { createOutboxFiles } from './delivery/files.js';
import { createOwnerNotices } from './delivery/notices.js';
import { createGateway } from './gateway/server.js';
import { createBackends } from './model/backends.js';
import { createLedger } from './model/ledger.js';
import { createModelProxy, modelRoutes } from './model/model.js';
import { startBackups } from './ops/backup.js';
import { markCrashed, markEnded, markRunning } from './ops/last-run.js';
import { logFile, rotatingFile, trimStartLog } from './ops/log-file.js';
import { statusSnapshot } from './ops/status.js';
import { startWatch } from './ops/watch.js';
import { loadDashboardToken, pageLink } from './page/auth.js';
import { type DashboardControl, startDashboard } from './page/server.js';
import { createHostApi, hostRoutes } from './runs/host-calls.js';
import * as readers from './runs/media-readers.js';
import { startQueue } from './runs/queue.js';
import { createStopSwitch } from './runs/stop-switch.js';
import { createWorkOrders } from './runs/work-order.js';
import { createSandbox } from './sandbox/choose.js';
import { closeToOthers, lockHome, prepareHome, sandboxSpec } from './sandbox/home.js';
import { createPool } from './sandbox/pool.js';
import { createSupervisor } from './sandbox/supervisor.js';
import { openStore } from './store.js';
import { startTaskFiles } from './tasks/files.js';
import { createTaskApi, taskRoutes } from './tasks/gateway.js';
import { createHooks } from './tasks/hooks.js';
import { startScheduler } from './tasks/scheduler.js';
import { createTasks } from './tasks/tasks.js';

const STOP_TIMEOUT_MS = 9_000;

type Daemon = { stop(): Promise<void> };
type Home = ReturnType<typeof openHome>;
type Engine = Awaited<ReturnType<typeof startEngine>>;

/** Runs until SIGTERM or SIGINT. A start that fails prints what to do and exits 1; so does an unknown error later. */
export async function main(environment: Env = process.env): Promise<void> {
  // Whatever we write is for this user alone; what a container gets is handed over to its user (home.ts).
  process.umask(0o077);
  const repository = join(dirname(fileURLToPath(import.meta.url)), '..');
  let dataDir: string | undefined;
  try {
    const config = loadConfig(environment, repository);
    dataDir = config.dataDir;
    const log = openLog(config);
    endOnSignals(await startDaemon(config, environment, log), log, dataDir);
  } catch (error) {
    if (dataDir) markCrashed(dataDir, error);
    const text = error instanceof Error && !(error instanceof PinchError) ? error.stack : describeError(error);
    // A pipe that is read slowly would lose the end of it.
    await new Promise((written) => process.stderr.write(`✗ ${text}\n`, written));
    process.exit(1);
  }
}

/** What a service manager collects is never ended: a service keeps its log itself. */
function openLog(config: Config): Logger {
  if (!isService(config)) return createLog(config.logLevel);
  trimStartLog(config.dataDir);
  return createLog(config.logLevel, rotatingFile(logFile(config.dataDir)));
}

/** Set by the unit that `pinch service install` writes. */
const isService = ({ env }: Config): boolean => env.PINCH_SERVICE === '1';

/** What every stage is built from: settings, the store and the few things all of them share. */
function openHome(config: Config, environment: Env, log: Logger) {
  prepareHome(config);
  const paths = closeToOthers(config);
  if (paths.length > 0) log.warn({ paths }, 'files of this home could not be closed to other users of the machine');
  const lock = lockHome(config);
  const lastEnd = markRunning(config.dataDir, systemClock.now());
  if (lastEnd) log.warn({ lastEnd }, 'the last run was not stopped, it ended by itself');
  const store = openStore(join(config.dataDir, 'pinch.db'), log);
  const wake = createWake();
  const clock = systemClock;
  const stopSwitch = createStopSwitch(config.dataDir, clock.now);
  store.groups.ensure('main', true, clock.now());
  store.groups.retryParked(clock.now());
  const unreachable = new Set<string>();
  return {
    config,
    environment,
    log,
    lock,
    store,
    wake,
    clock,
    startedAt: clock.now(),
    lastEnd,
    stopped: stopSwitch.stopped,
    assistantName: config.assistantName,
    dataDir: config.dataDir,
    pairing: createPairing(store),
    tasks: createTasks({ store, clock, wake, config }),
    stopSwitch,
    outboxFiles: createOutboxFiles(config.dataDir),
    unreachable,
    notifyOwner: createOwnerNotices({ store, wake, clock, unreachable }),
  };
}

/** Asks the engine for containers left by an earlier process; an engine that is down is the supervisor's to watch. */
async function startEngine(home: Home) {
  const sandbox = createSandbox(home.config, home);
  const supervisor = createSupervisor({ ...home, sandbox });
  try {
    const reaped = await sandbox.reap();
    if (reaped > 0) home.log.info({ containers: reaped }, 'containers of an earlier process removed');
  } catch (error) {
    supervisor.reportDown(error);
  }
  return { sandbox, supervisor };
}

/** The path of a run: queue → pool → sandbox, and the gateway that the containers talk to. */
function startWork(home: Home, engine: Engine, channels: RunningChannels) {
  const { config, store, clock, log, wake } = home;
  const orders = createWorkOrders({ store, config, channel: channels.get, readers });
  const model = createModelProxy({
    backend: createBackends(config, home.environment, log),
    models: () => [...new Set([config.model, ...store.groups.all().flatMap(({ model }) => model ?? [])])],
    ledger: createLedger({ store, clock, config }),
    clock,
    log,
  });
  const gateway = createGateway({ clock, log });
  const pool = createPool({
    ...home,
    sandbox: engine.sandbox,
    gateway,
    maxContainers: config.maxContainers,
    idleMs: config.idleMs,
    specFor: (group) => sandboxSpec(config, group),
    onFree: () => wake.emit('runs'),
  });
  const paused = () => home.stopSwitch.stopped() || engine.supervisor.engineDown();
  const queue = startQueue({
    ...home,
    pool,
    leaseOwner: randomUUID(),
    paused,
    onSandboxDown: engine.supervisor.reportDown,
    onRunDone: orders.dropMedia,
    buildSpec: orders.buildSpec,
    promptMessages: orders.promptMessages,
    typing: (chatId) => {
      const chat = store.groups.chat(chatId);
      if (chat) channels.get(chat.channel)?.typing(chat.address);
    },
  });
  const calls = createHostApi({ ...home, mediaFile: orders.mediaFile, onFinish: queue.onFinish });
  gateway.add(hostRoutes(calls), calls.noteRefusal);
  gateway.add(taskRoutes(createTaskApi(home)));
  gateway.add(modelRoutes(model, (link, runId) => calls.leasedRun(link, runId)?.id ?? null));
  const watch = startWatch({ ...home, paused, canHost: pool.canHost });
  return { gateway, pool, queue, watch };
}

interface Parts {
  engine: Engine;
  /** Both are there by the time anybody asks. */
  channels(): RunningChannels;
  work(): ReturnType<typeof startWork>;
}

/** What the owner may ask of the whole daemon, from a chat, the page or the command line. */
function createControl(home: Home, { engine, channels, work }: Parts) {
  const { log, stopSwitch, wake } = home;
  return {
    emergencyStop(reason: string): void {
      log.warn({ reason }, 'emergency stop');
      // First of all, and even when the disk is full: the containers end and none starts.
      void work().pool.stopAll('emergency stop');
      stopSwitch.stop(reason);
      work().queue.cancelAll();
      wake.emit('changed');
    },
    resume(): void {
      stopSwitch.resume();
      work().pool.reopen();
      for (const event of ['tasks', 'runs', 'changed'] as const) wake.emit(event);
    },
    status: () =>
      statusSnapshot({
        ...home,
        engine: engine.supervisor.engineState,
        channels: channels().states,
        containers: work().pool.containers,
      }),
  };
}

async function startDaemon(config: Config, environment: Env, log: Logger): Promise<Daemon> {
  const home = openHome(config, environment, log);
  const engine = await startEngine(home);
  let ready = false;

  const control = createControl(home, { engine, channels: () => channels, work: () => work });
  const { status, emergencyStop } = control;
  const intake = createIntake({ ...home, owner: config.owner, statusText: () => status().text, emergencyStop });
  const channels = createChannels({
    ...home,
    definitions: Object.values(definitions),
    env: config.env,
    storage: (channel) => home.store.channelAuth.of(channel, home.clock.now),
    receive: intake.receive,
    chatMoved: intake.chatMoved,
    onState: (channel, state) => reportChannel(home, channel, state),
  });
  // Before any work starts: a port that is taken must not cost a run an attempt.
  const { tasks } = home;
  const hooks = createHooks(home);
  const dashboard = await openDashboard(home, {
    ...control,
    intake,
    tasks,
    hooks,
    ready: () => ready,
    link: channels.link,
  });
  await home.outboxFiles.sweep(home.store.outbox.waitingFiles(null));
  const work = startWork(home, engine, channels);
  const delivery = startDelivery({ ...home, channel: channels.get });
  channels.start();
  const scheduler = startScheduler({ ...home, timeZone: config.timeZone, paused: home.stopSwitch.stopped });
  const taskFiles = startTaskFiles(home);
  const backups = startBackups(home);
  ready = true;
  log.info({ port: config.port, channels: channels.names(), startMs: Math.round(process.uptime() * 1000) }, 'ready');
  greet(home, channels, dashboard);

  return {
    async stop() {
      ready = false;
      await channels.stop();
      scheduler.stop();
      taskFiles.stop();
      engine.supervisor.stop();
      work.watch.stop();
      await work.queue.stop();
      await work.pool.stopAll('Pinch is stopping');
      await delivery.stop();
      await dashboard?.close();
      await backups.stop();
      work.gateway.close();
      home.store.close();
      markEnded(config.dataDir);
      home.lock.release();
    },
  };
}

async function openDashboard(home: Home, control: DashboardControl) {
  if (home.config.port === 0) return undefined;
  const token = loadDashboardToken(home.dataDir);
  const dashboard = await startDashboard({ ...home, ...control, port: home.config.port, token, markdownToSafeHtml });
  return { url: pageLink(dashboard.url, token), close: dashboard.close };
}

function reportChannel(home: Home, channel: string, { state, detail, link }: ChannelState): void {
  const { log, wake, notifyOwner, clock, unreachable } = home;
  log[needsPerson(state) ? 'error' : 'info']({ channel, state, detail }, 'channel state');
  wake.emit('changed');
  if (link?.qr && !isService(home.config))
    process.stderr.write(`\n${qrForTerminal(link.qr)}\n   ${channel}: ${detail}\n\n`);
  if (state === 'open') unreachable.delete(channel);
  if (!needsPerson(state)) return;
  unreachable.add(channel);
  notifyOwner(`channel:${channel}:${clock.now()}`, `The channel ${channel} needs you: ${oneLine(detail, 500)}`);
}

/** What a person at a terminal wants to know next; on stderr, so that stdout stays machine-readable. */
function greet(home: Home, channels: RunningChannels, dashboard: { url: string } | undefined): void {
  const { config, store, pairing } = home;
  // A service has no terminal, only files, and links and codes do not belong into them: `pinch status` and `pinch pair` show both.
  if (isService(config)) return;
  const lines = dashboard ? [`Open ${dashboard.url}`] : [];
  for (const name of channels.names().filter((channel) => channel !== 'web')) {
    if (config.owner?.channel === name || store.groups.hasOwner(name)) continue;
    lines.push(`To be the owner on ${name}, send the assistant this direct message: /pair ${pairing.code(name)}`);
  }
  if (config.backend.kind === 'demo')
    lines.push('No account is configured: the demo model answers. Set ANTHROPIC_API_KEY in .env for real answers.');
  process.stderr.write(`\n🦞 ${config.assistantName} is ready.\n${lines.map((line) => `   ${line}\n`).join('')}\n`);
}

function endOnSignals(daemon: Daemon, log: Logger, dataDir: string): void {
  let ending = false;
  const end = async (signal: string) => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      markCrashed(dataDir, `it did not end within ${STOP_TIMEOUT_MS} ms of ${signal}`);
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
    await daemon.stop();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void end(signal));
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error: unknown) => {
      markCrashed(dataDir, error);
      log.fatal({ err: error }, 'unknown error, exiting; leases are taken back at the next start');
      process.exit(1);
    });
  }
}
