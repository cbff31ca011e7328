// Starts the channels whose settings switch them on and keeps their states. Knows no single platform.
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { type Config, channelFolder, type Env, invalid } from '../core/config.js';
import type { TakeIn } from '../core/set-aside.js';
import {
  type Channel,
  type ChannelDefinition,
  type ChannelState,
  type ChannelStorage,
  type InboundMessage,
  needsPerson,
} from './channel.js';

export interface ChannelsDeps {
  definitions: ChannelDefinition[];
  config: Pick<Config, 'env' | 'assistantName' | 'dataDir'>;
  clock: Clock;
  log: Logger;
  storage(channel: string): ChannelStorage;
  nameOf(channel: string, address: string): string | undefined;
}

/** Who takes what channels bring. */
export interface ChannelHandlers {
  receive(channel: string, message: InboundMessage, manner?: { unhurried: boolean }): void;
  onDisk(): Promise<void>;
  takeIn: TakeIn;
  chatMoved(channel: string, from: string, to: string): void;
  /** A channel's state changed; `blocked` needs a person. */
  onState(channel: string, state: ChannelState): void;
}

export interface RunningChannels {
  get(name: string): Channel | undefined;
  names(): string[];
  states(): ({ name: string } & ChannelState)[];
  /** Switched off, or needed a person and has not been connected since. */
  isBlocked(name: string): boolean;
  start(handlers: ChannelHandlers): void;
  /** Has those that wait for a new link ask for one. */
  link(): void;
  stop(): Promise<void>;
}

/** Checks every channel's settings and creates those that are on; `start` connects them. Rejects with PinchError `config_invalid`. */
export async function createChannels(deps: ChannelsDeps): Promise<RunningChannels> {
  const channels = new Map<string, Channel>();
  const states = new Map<string, ChannelState>();
  const blocked = new Set<string>();
  let handlers: ChannelHandlers | undefined;
  function handler(): ChannelHandlers {
    if (!handlers) throw new Error('a channel that was not started brought something');
    return handlers;
  }
  function onState(name: string, state: ChannelState): void {
    const before = states.get(name);
    states.set(name, state);
    if (state.state === 'open') blocked.delete(name);
    if (needsPerson(state.state)) blocked.add(name);
    if (before?.state !== state.state || before.detail !== state.detail || state.link) handlers?.onState(name, state);
  }
  for (const definition of deps.definitions) {
    const settings = parseSettings(definition.env, deps.config.env);
    const { name } = definition;
    const channel = await definition.create(settings, {
      assistantName: deps.config.assistantName,
      clock: deps.clock,
      log: deps.log.child({ channel: name }),
      storage: deps.storage(name),
      folder: channelFolder(deps.config, name),
      nameOf: (address) => deps.nameOf(name, address),
      onMessage: (message, manner) => handler().receive(name, message, manner),
      onDisk: () => handler().onDisk(),
      takeIn(id, raw, work) {
        const taken = handler().takeIn({ name: `message ${name} ${id}`, raw }, () => {
          work();
          return true;
        });
        return taken === true;
      },
      onChatMoved: (from, to) => handler().chatMoved(name, from, to),
      onState: (state) => onState(name, state),
    });
    if (channel) channels.set(name, channel);
  }
  return {
    get: (name) => channels.get(name),
    names: () => [...channels.keys()],
    states: () =>
      [...channels.keys()].map((name) => ({
        name,
        ...(states.get(name) ?? { state: 'connecting' as const, detail: '' }),
      })),
    isBlocked: (name) => blocked.has(name) || !channels.has(name),
    start: (given) => {
      handlers = given;
      for (const channel of channels.values()) channel.start();
    },
    link: () => {
      for (const channel of channels.values()) channel.link?.();
    },
    stop: () => Promise.all([...channels.values()].map((channel) => channel.stop())).then(() => undefined),
  };
}

function parseSettings(schema: z.ZodType, env: Env): unknown {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
}
