// Starts the channels whose settings switch them on and keeps their states. Knows no single platform.
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { type Env, invalid } from '../core/config.js';
import type { Channel, ChannelDefinition, ChannelState, ChannelStorage, InboundMessage } from './channel.js';

export interface ChannelsDeps {
  definitions: ChannelDefinition[];
  env: Env;
  assistantName: string;
  clock: Clock;
  log: Logger;
  storage(channel: string): ChannelStorage;
  receive(channel: string, message: InboundMessage): void;
  chatMoved(channel: string, from: string, to: string): void;
  /** A channel's state changed; `blocked` needs a person. */
  onState(channel: string, state: ChannelState): void;
}

export interface RunningChannels {
  get(name: string): Channel | undefined;
  names(): string[];
  states(): ({ name: string } & ChannelState)[];
  start(): void;
  /** Has those that wait for a new link ask for one. */
  link(): void;
  stop(): Promise<void>;
}

/** Checks every channel's settings and creates those that are on; `start` connects them. Throws PinchError `config_invalid`. */
export function createChannels(deps: ChannelsDeps): RunningChannels {
  const channels = new Map<string, Channel>();
  const states = new Map<string, ChannelState>();
  for (const definition of deps.definitions) {
    const settings = parseSettings(definition.env, deps.env);
    const { name } = definition;
    const channel = definition.create(settings, {
      assistantName: deps.assistantName,
      clock: deps.clock,
      log: deps.log.child({ channel: name }),
      storage: deps.storage(name),
      onMessage: (message) => deps.receive(name, message),
      onChatMoved: (from, to) => deps.chatMoved(name, from, to),
      onState: (state) => {
        const before = states.get(name);
        states.set(name, state);
        if (before?.state !== state.state || before.detail !== state.detail || state.link) deps.onState(name, state);
      },
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
    start: () => {
      for (const channel of channels.values()) channel.start();
    },
    link: () => {
      for (const channel of channels.values()) channel.link?.();
    },
    stop: async () => {
      await Promise.all([...channels.values()].map((channel) => channel.stop()));
    },
  };
}

function parseSettings(schema: z.ZodType, env: Env): unknown {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
}
