// The daemon on one page: which modules there are, in which order they start, and how they end.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createApprovalModule } from './approvals/module.js';
import { createBudgetModule } from './budgets/module.js';
import type { ChannelState } from './channels/channel.js';
import { chatApi } from './chats/api.js';
import { createRegisterAsker } from './chats/ask-register.js';
import { chatCommands } from './chats/commands.js';
import { releaseFormerOwners } from './chats/former-owners.js';
import { groupCalls } from './chats/host-calls.js';
import { createIntake } from './chats/intake.js';
import { createPairing } from './chats/pairing.js';
import { systemClock as clock } from './core/clock.js';
import { type Env, loadConfig } from './core/config.js';
import { describeError } from './core/errors.js';
import { startDelivery } from './delivery/delivery.js';
import { createNoticePress, messageActions } from './delivery/notice-press.js';
import { createEgress } from './egress/module.js';
import { assembleBase, type Ground, openChannels } from './ground.js';
import type { OnPress } from './groups/press.js';
import { startIndexing } from './groups/search-index.js';
import { safeHtmlInSlices as markdownToSafeHtml } from './markdown/format.js';
import { createBoxOpener } from './mcp/boxes.js';
import { createMcpModule } from './mcp/module.js';
import { createMemoryModule } from './memory/module.js';
import { createBackends } from './model/backends.js';
import { createFallback } from './model/fallback.js';
import { modelCommands } from './model/group-models.js';
import { modelRoutes } from './model/model.js';
import { createOutage } from './model/outage.js';
import { createWindows } from './model/window.js';
import { opsApi } from './ops/api.js';
import { startBackups } from './ops/backup.js';
import { tellBadRows } from './ops/bad-rows.js';
import { createControl } from './ops/control.js';
import { type Daemon, runProcess } from './ops/daemon-process.js';
import { createStages, endWithin, type Stages } from './ops/ending.js';
import { openHome } from './ops/home-lock.js';
import { startIntegrityCheck } from './ops/integrity.js';
import { kindOfEnd } from './ops/last-run.js';
import { settingNotices } from './ops/settings-check.js';
import { greet, reportChannel } from './ops/tell-person.js';
import { startWatch } from './ops/watch.js';
import { loadPageToken } from './page/auth.js';
import { openPage } from './page/server.js';
import { progressCommands } from './progress/commands.js';
import { createProgress } from './progress/show.js';
import { createQuotas } from './quotas/quotas.js';
import { createDiskWatch } from './quotas/watch.js';
import { createRecap } from './recap/module.js';
import { startRetention } from './retention/sweep.js';
import { runApi } from './runs/api.js';
import { callersOf } from './runs/callers.js';
import { runActions, runCommands } from './runs/commands.js';
import { createHeldBack } from './runs/held-back.js';
import { createRuns } from './runs/module.js';
import { createGuards } from './secrets/guards.js';
import { createServiceModule } from './services/module.js';
import { openStore } from './store.js';
import { taintCommands } from './taint/commands.js';
import { createTaskModule } from './tasks/module.js';
import { buildOf, tellUpdate } from './update/told.js';

/** How long an end waits for what goes on. */
const END_MS = 7_000;

export async function main(environment: Env = process.env): Promise<void> {
  const repository = join(dirname(fileURLToPath(import.meta.url)), '..');
  await runProcess(
    () => loadConfig(environment, repository),
    async (config, log, secrets) => {
      const home = openHome(config, log);
      const opened = openStore(join(config.dataDir, 'pinch.db'), log);
      const { store, ...guards } = createGuards({ secrets, store: opened, clock, log });
      secrets.add('dashboard-token', loadPageToken(config.dataDir));
      const channels = await openChannels(config, log, store);
      return start(assemble({ config, environment, log, home, channels, store, secrets, guards }));
    },
  );
}

/** What is wrong with the settings, for people; undefined when they can be used. */
export function problemOfSettings(environment: Env, repository: string): string | undefined {
  try {
    loadConfig(environment, repository);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** Makes every module from those before it; nothing happens yet. A module gets as a function what it may not import (imports go down only). */
function assemble(ground: Ground) {
  const parts = { ...ground, ...assembleWork(ground) };
  return { ...parts, ...assembleWays(parts) };
}

/** What does the work: what containers may reach and ask for, and what it costs. */
function assembleWork(ground: Ground) {
  const { config, environment, log, channels, store, secrets, guards } = ground;
  const own = assembleBase(ground);
  const { base, begun, clockWatch, gateway, containers, outboxFiles, stopSwitch } = own;
  const { ownerChat } = base;
  const { stopped } = stopSwitch;
  const { takeIn } = own.setAside;
  const approvals = createApprovalModule({ ...base, begun, ownerChat, stopped, lookAtClock: clockWatch.look });
  const tasks = createTaskModule({ ...base, begun, takeIn, stopSwitch, approvals });
  const taskTitle = store.tasks.titleOf;
  const ofCaps = { taskCap: store.tasks.capOfRun, runCap: store.runs.limitOf };
  const budgets = createBudgetModule({ ...base, pauseTask: tasks.pause, taskTitle, ...ofCaps });
  const { guard, ledger } = budgets;
  const services = createServiceModule({ ...base, environment, approvals, secrets, guards });
  const backend = createBackends(config, environment, log);
  const search = (groupId: number) =>
    services.searchFor(groupId) ?? (config.modelSearch && backend().kind === 'http' ? 'model' : undefined);
  const { askToSend, ownSkills, skillsLeftOut } = approvals;
  const egress = createEgress({ ...base, approvals, guards });
  const boxes = createBoxOpener({ ...base, sandbox: containers.sandbox, secrets, lookup: egress.lookup });
  const mcp = createMcpModule({ ...base, boxes, secrets, stopSwitch, approvals, guards, services: services.services });
  const memory = createMemoryModule({ ...base, pool: containers.pool, secrets, stopped });
  const fallback = createFallback(base);
  const ofModels = { fallback, windowOf: createWindows({ backend, clock }) };
  const ofSkills = { ownSkills, skillsLeftOut };
  const ofServices = { services: services.forRun, search, mcp: mcp.forRun };
  const quotas = createQuotas(config);
  const ofDisk = { checkRoom: quotas.checkRoom, diskNote: quotas.noteFor, diskIsLow: quotas.isLow };
  const ofMemory = { searchMemory: memory.search };
  const forRuns = { stopSwitch, askToSend, guard, ...ofMemory, ...ofModels, ...ofSkills, ...ofServices, ...ofDisk };
  const runs = createRuns({ ...base, begun, ...containers, channels, outboxFiles, ...forRuns });
  const disk = createDiskWatch({
    ...{ ...base, quotas, tell: runs.queue.tellGroup },
    liveFolders: () => containers.pool.containers().map(({ group }) => group),
    end: (groupId, message, forGood) =>
      runs.queue.endGroup(groupId, { outcome: 'failed', errorClass: forGood ? 'disk' : 'sandbox', message }),
  });
  const ofGateway = { backend, fallback, groupModel: store.groupModels.of, ...callersOf({ store, clock }) };
  const outage = createOutage({ clock, ...runs.tells, onChange: () => store.signal('daemon') });
  gateway.add(modelRoutes({ ...base, ...ofGateway, ledger, stopped, outage }));
  gateway.add(runs.routes, runs.noteRefusal);
  for (const { routes } of [tasks, approvals, services, mcp, memory]) gateway.add(routes);
  gateway.addProxy(egress.proxy);
  const progress = createProgress({ ...base, channels });
  const parts = { ...own, progress, approvals, services, mcp, memory, budgets };
  return { ...parts, backend, fallback, outage, disk, runs, tasks, egress };
}

/** The ways in for people: chats with their commands, and the JSON API. */
function assembleWays({ base, ...parts }: Ground & ReturnType<typeof assembleWork>) {
  const { config, store, channels, approvals, services, mcp, memory, budgets, tasks, egress } = parts;
  const { assistantName, owner } = config;
  const { stopSwitch } = parts;
  const control = createControl({ ...base, ...parts });
  const pairing = createPairing(store, owner);
  const heldBack = createHeldBack({ ...base, stopSwitch });
  const { guard } = budgets;
  const ofRuns = { ...base, stopSwitch, heldBack, guard, reopenSlot: store.tasks.reopenSlot, resume: control.resume };
  const recap = createRecap(base);
  const commands = [
    ...recap.commands,
    ...chatCommands({ ...base, control, resumeButtons: heldBack.buttons }),
    ...runCommands(ofRuns),
    ...modelCommands(base),
    ...budgets.commands,
    ...tasks.commands,
    ...approvals.commands,
    ...memory.commands,
    ...progressCommands(base),
    ...taintCommands(base),
    ...egress.commands,
  ];
  const askToRegister = createRegisterAsker({ ...base, approvals });
  parts.gateway.add(groupCalls({ store, askToRegister }));
  const actions = { ...messageActions(base), ...budgets.actions, ...runActions(ofRuns), ...tasks.actions };
  const onNotice = createNoticePress({ store, actions });
  const onPress: OnPress = (press) => approvals.onPress(press) ?? memory.onPress(press) ?? onNotice(press);
  const intake = createIntake({
    ...base,
    takeIn: parts.setAside.takeIn,
    pairing,
    assistantName,
    commands,
    owner,
    onPress,
    onStalePress: onNotice,
    heldBack: heldBack.notice,
    onPaired: (channel) => channels.get(channel)?.showMenu?.(intake.menu(channel)),
    askToRegister,
  });
  const promptParts = () => [services, mcp].flatMap((one) => one.promptParts());
  const api = [
    runApi(ofRuns),
    chatApi({ ...base, pairing, channels }),
    budgets.api,
    tasks.api,
    approvals.api,
    memory.api,
    mcp.api,
    services.api(mcp.view),
    egress.api,
    opsApi({ ...base, ...parts, control, promptParts }),
    recap.api,
  ];
  return { control, pairing, intake, api };
}

/** What follows when a channel's state changes. */
const channelReporter =
  ({ base, channels, pairing, intake }: ReturnType<typeof assemble>) =>
  (name: string, state: ChannelState): void => {
    const channel = channels.get(name);
    reportChannel({ ...base, pairing, channel }, name, state);
    if (state.state === 'open') channel?.showMenu?.(intake.menu(name));
  };

function start(parts: ReturnType<typeof assemble>): Daemon {
  const { base, home, channels, gateway, egress, runs, approvals, mcp, memory } = parts;
  const { log, store } = base;
  const { supervisor, pool } = parts.containers;
  const life = createStages();
  return {
    started: startAll(parts, life),
    // All at once, because what may take seconds does so together; what all of it needs closes last.
    async stop() {
      const stages = life.stopAll();
      supervisor.stop();
      parts.clockWatch.stop();
      // What its containers say from now on must not count as how a run ended.
      const queue = runs.queue.stop();
      const containers = pool.stopAll('Pinch is stopping');
      const ends = { queue, containers, channels: channels.stop(), approvals: approvals.stop() };
      const modules = { ...ends, mcp: mcp.stop(), memory: memory.stop() };
      await endWithin({ clock, log }, END_MS, { ...modules, ...stages });
      for (const close of [egress.close, gateway.close, parts.begun.close, store.close, home.close]) close();
    },
  };
}

async function startAll(parts: ReturnType<typeof assemble>, life: Stages): Promise<void> {
  const { base, home, channels, approvals, outboxFiles, runs, control, pairing, intake, api } = parts;
  const { config, store, log } = base;
  const { begun, progress: passing } = parts;
  const { takeIn } = parts.setAside;
  const { supervisor, pool } = parts.containers;
  let ready = false;
  parts.clockWatch.start();
  tellBadRows(base);
  tellUpdate(base);
  begun.start(kindOfEnd(home.lastEnd));
  store.groups.ensure('main', true, clock.now());
  store.groups.retryParked(clock.now());
  releaseFormerOwners({ ...base, owner: config.owner });
  // Before any work starts: a port that is taken must not cost a run an attempt.
  const { status } = control;
  const build = buildOf(config.repository);
  const isReady = () => ready && !life.isOver();
  const page = await openPage({ ...base, begun, build, intake, api, status, markdownToSafeHtml, ready: isReady });
  life.add('page', page && { stop: page.close });
  await supervisor.start();
  await outboxFiles.sweep(store.outbox.waitingFiles());
  await parts.disk.look();
  // Somebody may have ended it meanwhile.
  if (life.isOver()) return;
  approvals.start();
  parts.memory.start();
  runs.queue.start();
  passing.start();
  life.add('progress', { stop: passing.stop });
  parts.disk.start();
  life.add('disk', { stop: parts.disk.stop });
  life.add('delivery', startDelivery({ ...base, ...channels, begun, outboxFiles, passing, channel: channels.get }));
  channels.start({ ...intake, takeIn, onState: channelReporter(parts) });
  life.add('tasks', parts.tasks.start());
  life.add('watch', startWatch({ ...base, paused: () => !runs.queue.mayStartRuns(), canHost: pool.canHost }));
  life.add('integrity', startIntegrityCheck({ ...base, home }));
  life.add('backups', startBackups(base));
  life.add('indexing', startIndexing({ ...base, begun }));
  life.add('retention', startRetention({ ...base, begun }));
  ready = true;
  home.ready();
  const notices = settingNotices(config);
  for (const notice of notices) log.warn({ notice }, 'a setting is probably not meant so');
  log.info({ port: config.port, channels: channels.names(), startMs: Math.round(process.uptime() * 1000) }, 'ready');
  greet({ config, notices, channels: channels.names(), pairing, page: page?.link });
}
