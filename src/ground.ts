// What all modules stand on, made before any of them: main.ts gives it to each.
import * as definitions from './channels/index.js';
import { createChannels, type RunningChannels } from './channels/start.js';
import { createBegun } from './core/begun.js';
import { systemClock as clock } from './core/clock.js';
import type { Config, Env } from './core/config.js';
import type { Logger } from './core/log.js';
import { createSetAside, tellSetAside } from './core/set-aside.js';
import { createOutboxFiles } from './delivery/files.js';
import { createOwnerChat, createOwnerNotices } from './delivery/notices.js';
import { placesOf } from './egress/rules.js';
import { createGateway } from './gateway/server.js';
import { createClockWatch } from './ops/clock-watch.js';
import type { Home } from './ops/home-lock.js';
import { createDryHold } from './runs/dry.js';
import { createStopSwitch } from './runs/stop-switch.js';
import { createContainers } from './sandbox/module.js';
import type { Guards } from './secrets/guards.js';
import type { Secrets } from './secrets/secrets.js';
import type { Store } from './store.js';

/** What a process has before its modules. */
export interface Ground {
  config: Config;
  environment: Env;
  log: Logger;
  home: Home;
  channels: RunningChannels;
  store: Store;
  secrets: Secrets;
  guards: Guards;
}

export function openChannels(config: Config, log: Logger, store: Store): Promise<RunningChannels> {
  const storage = (channel: string) => store.channelAuth.of(channel, clock.now);
  const { nameOf } = store.groups;
  return createChannels({ definitions: Object.values(definitions), config, clock, log, storage, nameOf });
}

/** What all modules stand on: who is told, containers and their gateway, and what went wrong before. */
export function assembleBase({ config, log, channels, store, guards }: Ground) {
  const { dataDir } = config;
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
  const begun = createBegun({ ...base, dataDir, onSetAside: (name) => tellSetAside(base, name) });
  const setAside = createSetAside({ ...base, begun });
  return { base, begun, setAside, clockWatch, gateway, containers, outboxFiles, stopSwitch };
}
