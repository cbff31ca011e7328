// The Slack channel in Socket Mode: no public address, one WebSocket for what is said and the Web API for the rest. An event is
// acknowledged after its message was committed; what was said while nobody listened is read from the history.
// The connection is in slack-socket.ts, the Web API in slack-api.ts, what events mean in slack-inbound.ts.
import { addAbortListener } from 'node:events';
import { z } from 'zod';
import { splitMarkdown } from '../markdown/split.js';
import { type Channel, type ChannelDeps, ChannelError, defineChannel, type OutboundPart } from './channel.js';
import { createConnection } from './connection.js';
import { createSlackApi, type SlackApi, type SlackSettings } from './slack-api.js';
import { isGone, toChannelError } from './slack-errors.js';
import { downloadSlackFile } from './slack-files.js';
import { markdownToSlack } from './slack-format.js';
import { createInbox, kindOf } from './slack-inbox.js';
import { openSocket } from './slack-socket.js';

const token = (prefix: string, where: string) =>
  z.string().regex(new RegExp(`^${prefix}[\\w-]{10,}$`), { error: `use the token ${prefix}… from ${where}` });

export const slack = defineChannel({
  name: 'slack',
  env: z
    .object({
      SLACK_BOT_TOKEN: token('xoxb-', '"OAuth & Permissions" at https://api.slack.com/apps').optional(),
      SLACK_APP_TOKEN: token(
        'xapp-',
        '"Basic Information", App-Level Tokens, at https://api.slack.com/apps',
      ).optional(),
      SLACK_API_ROOT: z.url({ protocol: /^https?$/, error: 'use a URL such as https://slack.com/api' }).optional(),
    })
    .refine((env) => (env.SLACK_BOT_TOKEN === undefined) === (env.SLACK_APP_TOKEN === undefined), {
      path: ['SLACK_BOT_TOKEN'],
      error: 'Slack needs two tokens, SLACK_BOT_TOKEN (xoxb-…) and SLACK_APP_TOKEN (xapp-…): set both or none',
    }),
  create({ SLACK_BOT_TOKEN: bot, SLACK_APP_TOKEN: app, SLACK_API_ROOT: root = 'https://slack.com/api' }, deps) {
    if (bot === undefined || app === undefined) return undefined;
    return createSlack({ bot, app, root: root.replace(/\/+$/, '') }, deps);
  },
});

/** Slack cuts at 40,000 and asks for less than 4,000 (https://docs.slack.dev/reference/methods/chat.postMessage). */
const MAX_MESSAGE_CHARS = 3_900;
/** Marks of sends that never ended are worth nothing after this time. */
const SENDING_KEPT_MS = 7 * 24 * 3_600_000;
const SENDING = 'sending';

function createSlack(settings: SlackSettings, deps: ChannelDeps): Channel {
  const connection = createConnection(deps, toChannelError);
  const reader = createSlackApi(settings, connection.receiving);
  const sender = createSlackApi(settings, connection.sending);
  const inbox = createInbox(reader, deps);
  return {
    start() {
      deps.storage.prune(SENDING, deps.clock.now() - SENDING_KEPT_MS);
      connection.start((opened) => receive({ settings, deps, reader, inbox, over: connection.receiving }, opened));
    },
    stop: connection.stop,
    split: (text) => splitMarkdown(text, { limit: MAX_MESSAGE_CHARS, measure: (part) => markdownToSlack(part).length }),
    send: (part) =>
      connection.send(() =>
        part.file ? sender.upload(part.address, textOf(part), part.file) : post(sender, deps, part),
      ),
    // Every message of a direct conversation notifies; how long one may be changed is the workspace's choice.
    edits: { silent: false, gapMs: 3_000, forMs: 3_600_000 },
    edit: (edit) =>
      connection.send(async () => {
        await sender.edit(edit.address, edit.platformId, textOf(edit));
        return edit.platformId;
      }),
    remove: (address, id) =>
      connection.send(async () => {
        await sender.remove(address, id).catch((error: unknown) => {
          if (!isGone(error)) throw error;
        });
        return id;
      }),
    kindOf,
    // Slack shows it for people only.
    typing: () => undefined,
    fetchMedia: (ref, maxBytes) => downloadSlackFile(reader, settings, { ref, maxBytes, signal: connection.receiving }),
  };
}

interface Receiving {
  settings: SlackSettings;
  deps: ChannelDeps;
  reader: SlackApi;
  inbox: ReturnType<typeof createInbox>;
  /** Aborted when receiving ends. */
  over: AbortSignal;
}

/** One connection from its start to its end, which is always an error. */
async function receive({ settings, deps, reader, inbox, over }: Receiving, opened: (account: string) => void) {
  const self = await reader.identify();
  const failed = new AbortController();
  const session = { self, signal: AbortSignal.any([failed.signal, over]) };
  // One after the other, and events behind what was missed: within a chat nothing overtakes.
  let work: Promise<unknown> = Promise.resolve();
  const next = (task: () => Promise<void>): void => {
    work = work
      .then(() => (session.signal.aborted ? undefined : task()))
      .catch((error: unknown) => failed.abort(error));
  };
  const opening = openSocket(settings, { clock: deps.clock, signal: over }, (event) =>
    next(() => inbox.take(event, session)),
  );
  next(async () => {
    await opening;
    await inbox.catchUp(session);
    opened(`@${self.name} in ${self.team}`);
  });
  const socket = await opening;
  await Promise.race([socket.closed, new Promise((resolve) => addAbortListener(session.signal, resolve))]);
  failed.abort(new ChannelError('network', 'the connection to Slack was lost'));
  await Promise.all([socket.close(), work]);
  throw failed.signal.reason;
}

/** Markdown that shows nothing (a lone link definition) is better read than refused. */
const textOf = ({ text }: Pick<OutboundPart, 'text'>) => markdownToSlack(text) || text;

/** A part whose acceptance was lost is found again by its key, which Slack keeps with the message and shows to nobody. */
async function post(sender: SlackApi, { storage, clock }: ChannelDeps, part: OutboundPart): Promise<string> {
  const { address, key } = part;
  const began = storage.get(SENDING, [key])[key];
  const before = began === undefined ? undefined : await sender.findPart(address, key, Number(began));
  if (began === undefined) storage.set([{ kind: SENDING, id: key, value: String(Math.floor(clock.now() / 1000)) }]);
  const id = before ?? (await sender.post(address, textOf(part), key));
  storage.set([{ kind: SENDING, id: key, value: null }]);
  return id;
}
