// The Discord channel: the gateway's WebSocket for what is said, the REST API for the rest. Discord keeps no event for us, so a message
// counts as received once it is committed, and whatever came after the last committed one is read again at every connection.
// The connection is in discord-gateway.ts, the REST API in discord-api.ts, what messages mean in discord-inbound.ts.
import { addAbortListener } from 'node:events';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { splitMarkdown } from '../markdown/split.js';
import { type Channel, type ChannelDeps, defineChannel } from './channel.js';
import { createConnection } from './connection.js';
import { createDiscordApi, type DiscordApi, type DiscordSettings } from './discord-api.js';
import { toChannelError } from './discord-errors.js';
import { downloadAttachment } from './discord-files.js';
import { markdownToDiscord } from './discord-format.js';
import { type DiscordEvent, openGateway } from './discord-gateway.js';
import { createInbox, kindOf } from './discord-inbox.js';

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

/** https://discord.com/developers/docs/resources/message#create-message */
const MAX_MESSAGE_CHARS = 2_000;
function createDiscord(settings: DiscordSettings, deps: ChannelDeps): Channel {
  const connection = createConnection(deps, toChannelError);
  const over = connection.receiving;
  const reader = createDiscordApi(settings, over);
  const sender = createDiscordApi(settings, connection.sending);
  const inbox = createInbox(reader, deps);
  return {
    start: () =>
      connection.start((opened) => receive({ token: settings.token, clock: deps.clock, reader, inbox, over }, opened)),
    stop: connection.stop,
    split: (text) =>
      splitMarkdown(text, { limit: MAX_MESSAGE_CHARS, measure: (part) => markdownToDiscord(part).length }),
    send: (part) => connection.send(() => sender.post({ ...part, text: markdownToDiscord(part.text) })),
    // Five a channel within five seconds, of all that is sent there.
    edits: { silent: true, gapMs: 3_000, forMs: 7 * 86_400_000 },
    edit: ({ address, platformId, text }) =>
      connection.send(() => sender.edit(address, platformId, markdownToDiscord(text))),
    remove: (address, id) => connection.send(() => sender.remove(address, id)),
    kindOf: (address) => kindOf(deps, address),
    typing(address) {
      reader.typing(address).catch((error: unknown) => {
        deps.log.debug({ error: toChannelError(error).message }, 'discord call failed');
      });
    },
    fetchMedia: (ref, maxBytes) => downloadAttachment(reader, settings, { ref, maxBytes, signal: over }),
  };
}

interface Receiving {
  token: string;
  clock: Clock;
  reader: DiscordApi;
  inbox: ReturnType<typeof createInbox>;
  /** Aborted when receiving ends. */
  over: AbortSignal;
}

/** One connection from its start to its end, which is always an error. */
async function receive({ token, clock, reader, inbox, over }: Receiving, opened: (account: string) => void) {
  const url = await reader.gateway();
  const ended = new AbortController();
  const end = (reason: unknown): void => ended.abort(reason);
  const signal = AbortSignal.any([ended.signal, over]);
  // One after the other, and events behind what was missed: within a chat nothing overtakes.
  let work: Promise<unknown> = Promise.resolve();
  const next = (task: () => Promise<void>): void => {
    work = work.then(() => (signal.aborted ? undefined : task())).catch(end);
  };
  const onEvent = (event: DiscordEvent): void =>
    next(async () => inbox.take(event, { self: (await opening).self, signal }));
  const opening = openGateway({ url, token, clock, onEvent, end, signal });
  next(async () => {
    const { self, channels } = await opening;
    await inbox.catchUp(channels(), { self, signal });
    opened(`@${self.name}`);
  });
  const gateway = await opening;
  await new Promise((resolve) => addAbortListener(signal, resolve));
  await Promise.all([gateway.close(), work]);
  throw signal.reason;
}
