// The Discord channel: the gateway's WebSocket for what is said, the REST API for the rest. Discord keeps no event for us, so a message
// counts as received once it is committed, and whatever came after the last committed one is read again at every connection.
// The connection is in discord-gateway.ts, the REST API in discord-api.ts, what messages mean in discord-inbound.ts.
import { z } from 'zod';
import { type Channel, type ChannelDeps, ChannelError, defineChannel, type OutboundPart } from './channel.js';
import { createDiscordApi, type DiscordApi } from './discord-api.js';
import { afterFailure, toChannelError } from './discord-errors.js';
import { downloadAttachment } from './discord-files.js';
import { markdownToDiscord } from './discord-format.js';
import { openGateway } from './discord-gateway.js';
import { createInbox } from './discord-inbox.js';
import { splitMarkdown } from './split.js';

export const discord = defineChannel({
  name: 'discord',
  env: z.object({
    DISCORD_BOT_TOKEN: z
      .string()
      .regex(/^[\w-]{18,}\.[\w-]{5,}\.[\w-]{20,}$/, {
        error: 'use the token of the page "Bot" of your application at https://discord.com/developers/applications',
      })
      .optional(),
    DISCORD_API_ROOT: z.url({ protocol: /^https?$/, error: 'use a URL such as https://discord.com/api' }).optional(),
  }),
  create({ DISCORD_BOT_TOKEN: token, DISCORD_API_ROOT: root = 'https://discord.com/api' }, deps) {
    return token === undefined ? undefined : createDiscord({ token, root: root.replace(/\/+$/, '') }, deps);
  },
});

export interface DiscordSettings {
  token: string;
  /** Address of the REST API, without a version and without a slash at its end. */
  root: string;
}

/** https://discord.com/developers/docs/resources/message#create-message */
const MAX_MESSAGE_CHARS = 2_000;
/** How long a send may go on after `stop`: breaking it off could send the same message again after the restart. */
const SEND_GRACE_MS = 3_000;

interface Connection {
  settings: DiscordSettings;
  deps: ChannelDeps;
  /** Aborted when receiving ends. */
  over: AbortController;
  reader: DiscordApi;
  /** Aborted when sending ends. */
  sendAbort: AbortController;
  sender: DiscordApi;
  sending: Set<Promise<unknown>>;
}

function createDiscord(settings: DiscordSettings, deps: ChannelDeps): Channel {
  const over = new AbortController();
  const sendAbort = new AbortController();
  const connection: Connection = {
    settings,
    deps,
    over,
    reader: createDiscordApi(settings, over.signal),
    sendAbort,
    sender: createDiscordApi(settings, sendAbort.signal),
    sending: new Set(),
  };
  let receiving: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  return {
    start() {
      receiving ??= receive(connection);
    },
    stop() {
      stopping ??= stop(connection, receiving);
      return stopping;
    },
    split: (text) =>
      splitMarkdown(text, { limit: MAX_MESSAGE_CHARS, measure: (part) => markdownToDiscord(part).length }),
    send: (part) => send(connection, part),
    typing(address) {
      connection.reader.typing(address).catch((error: unknown) => {
        deps.log.debug({ error: toChannelError(error).message }, 'discord call failed');
      });
    },
    fetchMedia: (ref, maxBytes) =>
      downloadAttachment(connection.reader, settings, { ref, maxBytes, signal: over.signal }),
  };
}

async function stop({ over, sendAbort, sending, deps }: Connection, receiving?: Promise<void>): Promise<void> {
  over.abort();
  await receiving;
  const grace = new AbortController();
  await Promise.race([Promise.allSettled(sending), deps.clock.sleep(SEND_GRACE_MS, grace.signal)]);
  grace.abort();
  sendAbort.abort();
  deps.onState({ state: 'stopped', detail: '' });
}

/** Connects again and again until `stop`. Never rejects. */
async function receive(connection: Connection): Promise<void> {
  const { deps, over } = connection;
  let failures = 0;
  deps.onState({ state: 'connecting', detail: '' });
  const inbox = createInbox(connection.reader, deps);
  while (!over.signal.aborted) {
    try {
      await holdConnection(connection, inbox, () => {
        failures = 0;
      });
    } catch (error) {
      if (over.signal.aborted) return;
      failures += 1;
      const { state, ms } = afterFailure(error, failures, deps.clock.random());
      deps.log.warn({ failures, delayMs: ms, error: state.detail }, 'discord connection ended');
      deps.onState(state);
      await deps.clock.sleep(ms, over.signal);
    }
  }
}

/** One connection from its start to its end, which is always an error. */
async function holdConnection(
  { settings, deps, over }: Connection,
  inbox: ReturnType<typeof createInbox>,
  onOpen: () => void,
): Promise<never> {
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, over.signal]);
  // One after the other, and events behind what was missed: within a chat nothing overtakes.
  let work: Promise<unknown> = Promise.resolve();
  const next = (task: () => Promise<void>): void => {
    work = work.then(() => (signal.aborted ? undefined : task())).catch((error: unknown) => failed.abort(error));
  };
  const opening = openGateway(settings, { clock: deps.clock, signal: over.signal }, (event) =>
    next(async () => inbox.take(event, { self: (await opening).self(), signal })),
  );
  next(async () => {
    const { self, channels } = await opening;
    await inbox.catchUp(channels(), { self: self(), signal });
    onOpen();
    deps.onState({ state: 'open', detail: `@${self().name}` });
  });
  const gateway = await opening;
  await Promise.race([gateway.closed, whenAborted(signal)]);
  failed.abort(new ChannelError('network', 'the connection to Discord was lost'));
  await Promise.all([gateway.close(), work]);
  throw failed.signal.reason;
}

const whenAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve());
  });

async function send({ sender, over, sending }: Connection, part: OutboundPart): Promise<{ platformId: string }> {
  if (over.signal.aborted) throw new ChannelError('network', 'the channel is stopped');
  const call = sender.post({ ...part, text: markdownToDiscord(part.text) });
  sending.add(call);
  try {
    return { platformId: await call };
  } catch (error) {
    throw toChannelError(error);
  } finally {
    sending.delete(call);
  }
}
