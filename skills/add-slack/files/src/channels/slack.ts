// The Slack channel in Socket Mode: no public address, one WebSocket for what is said and the Web API for the rest. An event is
// acknowledged after its message was committed; what was said while nobody listened is read from the history.
// The connection is in slack-socket.ts, the Web API in slack-api.ts, what events mean in slack-inbound.ts.
import { z } from 'zod';
import { type Channel, type ChannelDeps, ChannelError, defineChannel, type OutboundPart } from './channel.js';
import { createSlackApi, type SlackApi } from './slack-api.js';
import { afterFailure, toChannelError } from './slack-errors.js';
import { downloadSlackFile } from './slack-files.js';
import { markdownToSlack } from './slack-format.js';
import { createInbox } from './slack-inbox.js';
import { openSocket } from './slack-socket.js';
import { splitMarkdown } from './split.js';

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

export interface SlackSettings {
  bot: string;
  app: string;
  /** Address of the Web API, without a slash at its end. */
  root: string;
}

/** Slack cuts at 40,000 and asks for less than 4,000 (https://docs.slack.dev/reference/methods/chat.postMessage). */
const MAX_MESSAGE_CHARS = 3_900;
/** How long a send may go on after `stop`: breaking it off could send the same message again after the restart. */
const SEND_GRACE_MS = 3_000;
/** Marks of sends that never ended are worth nothing after this time. */
const SENDING_KEPT_MS = 7 * 24 * 3_600_000;
const SENDING = 'sending';

interface Connection {
  settings: SlackSettings;
  deps: ChannelDeps;
  /** Aborted when receiving ends. */
  over: AbortController;
  reader: SlackApi;
  /** Aborted when sending ends. */
  sendAbort: AbortController;
  sender: SlackApi;
  sending: Set<Promise<unknown>>;
}

function createSlack(settings: SlackSettings, deps: ChannelDeps): Channel {
  const over = new AbortController();
  const sendAbort = new AbortController();
  const connection: Connection = {
    settings,
    deps,
    over,
    reader: createSlackApi(settings, over.signal),
    sendAbort,
    sender: createSlackApi(settings, sendAbort.signal),
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
    split: (text) => splitMarkdown(text, { limit: MAX_MESSAGE_CHARS, measure: (part) => markdownToSlack(part).length }),
    send: (part) => send(connection, part),
    // Slack shows it for people only.
    typing: () => undefined,
    fetchMedia: (ref, maxBytes) =>
      downloadSlackFile(connection.reader, settings, { ref, maxBytes, signal: over.signal }),
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
  deps.storage.prune(SENDING, deps.clock.now() - SENDING_KEPT_MS);
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
      deps.log.warn({ failures, delayMs: ms, error: state.detail }, 'slack connection ended');
      deps.onState(state);
      await deps.clock.sleep(ms, over.signal);
    }
  }
}

/** One connection from its start to its end, which is always an error. */
async function holdConnection(
  { settings, deps, over, reader }: Connection,
  inbox: ReturnType<typeof createInbox>,
  onOpen: () => void,
): Promise<never> {
  const self = await reader.identify();
  const failed = new AbortController();
  const session = { self, signal: AbortSignal.any([failed.signal, over.signal]) };
  // One after the other, and events behind what was missed: within a chat nothing overtakes.
  let work: Promise<unknown> = Promise.resolve();
  const next = (task: () => Promise<void>): void => {
    work = work
      .then(() => (session.signal.aborted ? undefined : task()))
      .catch((error: unknown) => failed.abort(error));
  };
  const opening = openSocket(settings, { clock: deps.clock, signal: over.signal }, (event) =>
    next(() => inbox.take(event, session)),
  );
  next(async () => {
    await opening;
    await inbox.catchUp(session);
    onOpen();
    deps.onState({ state: 'open', detail: `@${self.name} in ${self.team}` });
  });
  const socket = await opening;
  await Promise.race([socket.closed, whenAborted(session.signal)]);
  failed.abort(new ChannelError('network', 'the connection to Slack was lost'));
  await Promise.all([socket.close(), work]);
  throw failed.signal.reason;
}

const whenAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve());
  });

async function send(connection: Connection, part: OutboundPart): Promise<{ platformId: string }> {
  if (connection.over.signal.aborted) throw new ChannelError('network', 'the channel is stopped');
  const call = part.file ? connection.sender.upload(part.address, textOf(part), part.file) : post(connection, part);
  connection.sending.add(call);
  try {
    return { platformId: await call };
  } catch (error) {
    throw toChannelError(error);
  } finally {
    connection.sending.delete(call);
  }
}

/** Markdown that shows nothing (a lone link definition) is better read than refused. */
const textOf = ({ text }: OutboundPart) => markdownToSlack(text) || text;

/** A part whose acceptance was lost is found again by its key, which Slack keeps with the message and shows to nobody. */
async function post({ sender, deps }: Connection, part: OutboundPart): Promise<string> {
  const { address, key } = part;
  const began = deps.storage.get(SENDING, [key])[key];
  const before = began === undefined ? undefined : await sender.findPart(address, key, Number(began));
  if (began === undefined)
    deps.storage.set([{ kind: SENDING, id: key, value: String(Math.floor(deps.clock.now() / 1000)) }]);
  const id = before ?? (await sender.post(address, textOf(part), key));
  deps.storage.set([{ kind: SENDING, id: key, value: null }]);
  return id;
}
