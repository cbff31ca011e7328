// The daemon on one page: which modules there are, in which order they start, and how they end.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createApprovalModule } from './approvals/module.js';
import { createBudgetModule } from './budgets/module.js';
import * as definitions from './channels/index.js';
import { createChannels } from './channels/start.js';
import { chatApi } from './chats/api.js';
import { createRegisterAsker } from './chats/ask-register.js';
import { chatCommands } from './chats/commands.js';
import { releaseFormerOwners } from './chats/former-owners.js';
import { groupCalls } from './chats/host-calls.js';
import { createIntake } from './chats/intake.js';
import { createPairing } from './chats/pairing.js';
import { createBegun } from './core/begun.js';
import { systemClock as clock } from './core/clock.js';
import { type Config, type Env, loadConfig } from './core/config.js';
import type { Logger } from './core/log.js';
import { createSetAside, tellSetAside } from './core/set-aside.js';
import { startDelivery } from './delivery/delivery.js';
import { createOutboxFiles } from './delivery/files.js';
import { createOwnerChat, createOwnerNotices } from './delivery/notices.js';
import { createEgress } from './egress/module.js';
import { placesOf } from './egress/rules.js';
import { createGateway, type Link } from './gateway/server.js';
import { startIndexing } from './groups/search-index.js';
import { safeHtmlInSlices as markdownToSafeHtml } from './markdown/format.js';
import { createBoxOpener } from './mcp/boxes.js';
import { createMcpModule } from './mcp/module.js';
import { createBackends } from './model/backends.js';
import { createFallback } from './model/fallback.js';
import { modelRoutes } from './model/model.js';
import { createOutage } from './model/outage.js';
import { createWindows } from './model/window.js';
import { opsApi } from './ops/api.js';
import { startBackups } from './ops/backup.js';
import { tellBadRows } from './ops/bad-rows.js';
import { createClockWatch } from './ops/clock-watch.js';
import { createControl } from './ops/control.js';
import { type Daemon, runProcess } from './ops/daemon-process.js';
import { type Home, openHome } from './ops/home-lock.js';
import { startIntegrityCheck } from './ops/integrity.js';
import { kindOfEnd } from './ops/last-run.js';
import { greet, reportChannel } from './ops/tell-person.js';
import { startWatch } from './ops/watch.js';
import { loadPageToken } from './page/auth.js';
import { openPage } from './page/server.js';
import { startRetention } from './retention/sweep.js';
import { runApi } from './runs/api.js';
import { leasedRun } from './runs/calls.js';
import { createDryHold } from './runs/dry.js';
import { createRuns } from './runs/module.js';
import { replayCommands } from './runs/replay-chat.js';
import { createStopSwitch } from './runs/stop-switch.js';
import { createContainers } from './sandbox/module.js';
import { createGuards, type Guards } from './secrets/guards.js';
import type { Secrets } from './secrets/secrets.js';
import { createServiceModule } from './services/module.js';
import { openStore, type Store } from './store.js';
import { taintCommands } from './taint/commands.js';
import { markWorking } from './taint/taint.js';
import { createTaskModule } from './tasks/module.js';

export async function main(environment: Env = process.env): Promise<void> {
  const repository = join(dirname(fileURLToPath(import.meta.url)), '..');
  await runProcess(
    () => loadConfig(environment, repository),
    async (config, log, secrets) => {
      const home = openHome(config, log);
      const opened = openStore(join(config.dataDir, 'pinch.db'), log);
      const { store, ...guards } = createGuards({ secrets, store: opened, clock, log });
      secrets.add('dashboard-token', loadPageToken(config.dataDir));
      return start(assemble({ config, environment, log, home, store, secrets, guards }));
    },
  );
}

interface Ground {
  config: Config;
  environment: Env;
  log: Logger;
  home: Home;
  store: Store;
  secrets: Secrets;
  guards: Guards;
}

/** Makes every module from those before it; nothing happens yet. A module gets as a function what it may not import (imports go down only). */
function assemble(ground: Ground) {
  const parts = { ...ground, ...assembleWork(ground) };
  return { ...parts, ...assembleWays(parts) };
}

/** What does the work: containers, what they may reach and ask for, and what it costs. */
function assembleWork({ config, environment, log, store, secrets, guards }: Ground) {
  const { dataDir } = config;
  const storage = (channel: string) => store.channelAuth.of(channel, clock.now);
  const { nameOf } = store.groups;
  const channels = createChannels({ definitions: Object.values(definitions), config, clock, log, storage, nameOf });
  const ownerChat = createOwnerChat({ store, clock, isBlocked: channels.isBlocked });
  const notifyOwner = createOwnerNotices({ store, clock, ownerChat });
  const base = { config, store, clock, log, notifyOwner, ownerChat };
  const gateway = createGateway({ clock, log });
  gateway.addMask(guards.given);
  gateway.addHold(createDryHold(base));
  const containers = createContainers({
    ...{ ...base, signals: store.signals, gateway },
    placesOf: ({ id }) => placesOf(base, id),
  });
  const outboxFiles = guards.files(createOutboxFiles(dataDir));
  const stopSwitch = createStopSwitch(dataDir, clock.now);
  const clockWatch = createClockWatch(base);
  const { stopped } = stopSwitch;
  const begun = createBegun({ ...base, dataDir, onSetAside: (name) => tellSetAside(base, name) });
  const setAside = createSetAside({ ...base, begun });
  const { takeIn } = setAside;
  const approvals = createApprovalModule({ ...base, begun, ownerChat, stopped, lookAtClock: clockWatch.look });
  const tasks = createTaskModule({ ...base, begun, takeIn, stopSwitch, approvals });
  const budgets = createBudgetModule({
    ...base,
    pauseTask: tasks.pause,
    taskTitle: store.tasks.titleOf,
    taskCap: store.tasks.capOfRun,
  });
  const { guard, ledger } = budgets;
  const services = createServiceModule({ ...base, environment, approvals, secrets, guards });
  const backend = createBackends(config, environment, log);
  const search = (groupId: number) =>
    services.searchFor(groupId) ?? (config.modelSearch && backend().kind === 'http' ? 'model' : undefined);
  const { askToSend, ownSkills, skillsLeftOut } = approvals;
  const egress = createEgress({ ...base, approvals, guards });
  const boxes = createBoxOpener({ ...base, sandbox: containers.sandbox, secrets, lookup: egress.lookup });
  const mcp = createMcpModule({ ...base, boxes, secrets, stopSwitch, approvals, guards, services: services.services });
  const fallback = createFallback(base);
  const ofModels = { fallback, windowOf: createWindows({ backend, clock }) };
  const ofSkills = { ownSkills, skillsLeftOut };
  const ofServices = { services: services.forRun, search, mcp: mcp.forRun };
  const forRuns = { stopSwitch, askToSend, guard, ...ofModels, ...ofSkills, ...ofServices };
  const runs = createRuns({ ...base, begun, ...containers, channels, outboxFiles, ...forRuns });
  // A call that names no run of its container counts for one that works there: its limit must not be escaped by saying nothing.
  const runOf = (link: Link, runId: number) =>
    leasedRun(store, link, runId)?.id ?? store.runs.leasedOf(link.groupId, link.dryRun)[0] ?? null;
  const modelOf = (runId: number) => store.runs.get(runId)?.model ?? undefined;
  const onSearch = ({ groupId, dryRun }: Link) =>
    store.transaction(() => markWorking(store, groupId, 'a web search of the model', clock.now(), dryRun));
  const outage = createOutage({ clock, ...runs.tells, onChange: () => store.signal('daemon') });
  gateway.add(modelRoutes({ ...base, backend, fallback, ledger, runOf, modelOf, onSearch, stopped, outage }));
  gateway.add(runs.routes, runs.noteRefusal);
  for (const { routes } of [tasks, approvals, services, mcp]) gateway.add(routes);
  gateway.addProxy(egress.proxy);
  const own = { base, begun, setAside, clockWatch, channels, gateway, containers, outboxFiles, stopSwitch };
  const parts = { ...own, approvals, services, mcp, budgets };
  return { ...parts, backend, fallback, outage, runs, tasks, egress };
}

/** The ways in for people: chats with their commands, and the JSON API. */
function assembleWays({ base, ...parts }: Ground & ReturnType<typeof assembleWork>) {
  const { config, store, channels, approvals, services, mcp, budgets, tasks, egress } = parts;
  const { assistantName, owner } = config;
  const { stopped } = parts.stopSwitch;
  const control = createControl({ ...base, ...parts });
  const pairing = createPairing(store, owner);
  const commands = [
    ...chatCommands({ ...base, control }),
    ...replayCommands({ ...base, stopped }),
    ...budgets.commands,
    ...tasks.commands,
    ...approvals.commands,
    ...taintCommands(base),
    ...egress.commands,
  ];
  const askToRegister = createRegisterAsker({ ...base, approvals });
  parts.gateway.add(groupCalls({ store, askToRegister }));
  const { onPress } = approvals;
  const intake = createIntake({
    ...base,
    takeIn: parts.setAside.takeIn,
    pairing,
    assistantName,
    commands,
    owner,
    onPress,
    askToRegister,
  });
  const api = [
    runApi({ ...base, stopped, reopenSlot: store.tasks.reopenSlot }),
    chatApi({ ...base, pairing, channels }),
    budgets.api,
    tasks.api,
    approvals.api,
    mcp.api,
    services.api(mcp.view),
    egress.api,
    opsApi({
      ...base,
      control,
      setAside: parts.setAside,
      promptParts: () => [services, mcp].flatMap(({ promptParts }) => promptParts()),
    }),
  ];
  return { control, pairing, intake, api };
}

async function start(parts: ReturnType<typeof assemble>): Promise<Daemon> {
  const { base, home, channels, gateway, approvals, egress, outboxFiles, runs, control, pairing, intake, api } = parts;
  const { config, store, log } = base;
  const { begun } = parts;
  const { takeIn } = parts.setAside;
  const { supervisor, pool } = parts.containers;
  let ready = false;
  parts.clockWatch.start();
  tellBadRows(base);
  begun.start(kindOfEnd(home.lastEnd));
  store.groups.ensure('main', true, clock.now());
  store.groups.retryParked(clock.now());
  releaseFormerOwners({ ...base, owner: config.owner });
  // Before any work starts: a port that is taken must not cost a run an attempt.
  const { status } = control;
  const page = await openPage({ ...base, begun, intake, api, status, markdownToSafeHtml, ready: () => ready });
  await supervisor.start();
  await outboxFiles.sweep(store.outbox.waitingFiles());
  approvals.start();
  runs.queue.start();
  const delivery = startDelivery({ ...base, ...channels, begun, outboxFiles, channel: channels.get });
  channels.start({ ...intake, takeIn, onState: (channel, state) => reportChannel(base, channel, state) });
  const tasks = parts.tasks.start();
  const watch = startWatch({ ...base, paused: () => !runs.queue.mayStartRuns(), canHost: pool.canHost });
  const integrity = startIntegrityCheck({ ...base, home });
  const backups = startBackups(base);
  const indexing = startIndexing({ ...base, begun });
  const retention = startRetention({ ...base, begun });
  ready = true;
  home.ready();
  log.info({ port: config.port, channels: channels.names(), startMs: Math.round(process.uptime() * 1000) }, 'ready');
  greet({ config, channels: channels.names(), pairing, page: page?.link });

  return {
    // First what brings work, then what does it, then what both need. What may take seconds goes together: a service manager leaves ten.
    async stop() {
      ready = false;
      const quiet = channels.stop();
      tasks.stop();
      supervisor.stop();
      watch.stop();
      parts.clockWatch.stop();
      await runs.queue.stop();
      await Promise.all([quiet, approvals.stop(), parts.mcp.stop(), pool.stopAll('Pinch is stopping')]);
      egress.close();
      await delivery.stop();
      await page?.close();
      await integrity.stop();
      await backups.stop();
      await indexing.stop();
      await retention.stop();
      gateway.close();
      begun.close();
      store.close();
      home.close();
    },
  };
}
