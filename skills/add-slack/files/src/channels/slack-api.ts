// The calls of Slack's Web API that the channel makes, their answers checked. Knows nothing about sockets or our messages.
import { type Logger, LogLevel, WebClient } from '@slack/web-api';
import { z } from 'zod';
import type { OutboundFile } from './channel.js';
import { withVariable } from './slack-errors.js';
import { type SlackMessage, slackMessage } from './slack-inbound.js';

export interface SlackSettings {
  bot: string;
  app: string;
  /** Address of the Web API, without a slash at its end. */
  root: string;
}

/** The assistant's own account. */
export interface Self {
  userId: string;
  name: string;
  team: string;
}

export interface Conversation {
  id: string;
  kind: 'direct' | 'group';
  /** The other person of a direct conversation. */
  user?: string | undefined;
  name?: string | undefined;
}

export type SlackApi = ReturnType<typeof createSlackApi>;

const CALL_TIMEOUT_MS = 30_000;
const PAGE = 200;
/** Of the mark that goes with each message we send. */
const PART_EVENT = 'pinch_part';
/** How far this machine's clock may be ahead of Slack's, s. */
const CLOCK_SKEW_S = 300;

const page = z.object({ response_metadata: z.object({ next_cursor: z.string().optional() }).optional() });
const conversation = z
  .object({
    id: z.string(),
    is_im: z.boolean().optional(),
    user: z.string().optional(),
    name: z.string().optional(),
  })
  .transform(({ id, is_im, user, name }): Conversation => ({ id, kind: is_im ? 'direct' : 'group', user, name }));
const person = z.object({
  user: z.object({
    name: z.string().optional(),
    real_name: z.string().optional(),
    profile: z.object({ display_name: z.string().optional(), real_name: z.string().optional() }).optional(),
  }),
});
const marked = z.object({
  ts: z.string(),
  metadata: z.object({ event_payload: z.object({ key: z.string().optional() }).optional() }).optional(),
});
const sharedFile = z.object({ files: z.array(z.object({ files: z.array(z.object({ id: z.string() })) })) });

/** What all clients have in common: no log of their own (it would hold texts), no tries of their own, and an end. */
export function clientOptions(root: string, signal: AbortSignal) {
  return {
    slackApiUrl: `${root}/`,
    logger: silent,
    timeout: CALL_TIMEOUT_MS,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    fetch: (input: string | URL | Request, init?: RequestInit) => {
      const signals = init?.signal ? [signal, init.signal] : [signal];
      return fetch(input, { ...init, signal: AbortSignal.any(signals) });
    },
  };
}

export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => LogLevel.ERROR,
  setName: () => undefined,
};

function createCalls({ bot, root }: SlackSettings, signal: AbortSignal) {
  const client = new WebClient(bot, clientOptions(root, signal));
  const call = async <T>(schema: z.ZodType<T>, method: string, options: Record<string, unknown> = {}): Promise<T> => {
    const answer = await client.apiCall(method, options).catch((error: unknown) => {
      throw withVariable(error, 'SLACK_BOT_TOKEN');
    });
    return schema.parse(answer);
  };
  const pages = async <T>(item: z.ZodType<T>, [method, field]: [string, string], options: Record<string, unknown>) => {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const answer: unknown = await call(z.unknown(), method, { limit: PAGE, ...options, ...(cursor && { cursor }) });
      items.push(...(z.object({ [field]: z.array(item) }).parse(answer)[field] ?? []));
      cursor = page.parse(answer).response_metadata?.next_cursor;
    } while (cursor);
    return items;
  };
  return { client, call, pages };
}

/** Calls fail once `signal` is aborted. All throw the library's errors or ChannelError. */
export function createSlackApi(settings: SlackSettings, signal: AbortSignal) {
  const { client, call, pages } = createCalls(settings, signal);
  return {
    async identify(): Promise<Self> {
      const answer = z.object({ user_id: z.string(), user: z.string(), team: z.string() });
      const { user_id, user, team } = await call(answer, 'auth.test');
      return { userId: user_id, name: user, team };
    },
    /** Where the assistant is a member. */
    conversations: () =>
      pages(conversation, ['users.conversations', 'channels'], {
        types: 'public_channel,private_channel,mpim,im',
        exclude_archived: true,
      }),
    conversation: async (channel: string) =>
      (await call(z.object({ channel: conversation }), 'conversations.info', { channel })).channel,
    /** In no order. `oldest`: seconds since 1970, as Slack counts. */
    history: (channel: string, oldest: number): Promise<SlackMessage[]> =>
      pages(slackMessage, ['conversations.history', 'messages'], { channel, oldest: oldest.toFixed(6) }),
    /** The thread's first message is always among them. */
    replies: (channel: string, ts: string, oldest: number): Promise<SlackMessage[]> =>
      pages(slackMessage, ['conversations.replies', 'messages'], { channel, ts, oldest: oldest.toFixed(6) }),
    async firstOfThread(channel: string, ts: string): Promise<SlackMessage | undefined> {
      const answer = z.object({ messages: z.array(slackMessage) });
      return (await call(answer, 'conversations.replies', { channel, ts, limit: 1 })).messages[0];
    },
    /** No user name: Slack's are not unique where another company's people are in a channel. */
    async person(id: string): Promise<{ name: string }> {
      const { user } = await call(person, 'users.info', { user: id });
      const name = user.profile?.display_name || user.profile?.real_name || user.real_name || user.name || 'Someone';
      return { name };
    },
    /** Resolves with the new message's id. `key` goes with it unseen. */
    async post(channel: string, text: string, key: string): Promise<string> {
      const metadata = { event_type: PART_EVENT, event_payload: { key } };
      const options = { channel, text, metadata, unfurl_links: false, unfurl_media: false };
      return (await call(z.object({ ts: z.string() }), 'chat.postMessage', options)).ts;
    },
    edit: (channel: string, ts: string, text: string) => call(z.unknown(), 'chat.update', { channel, ts, text }),
    remove: (channel: string, ts: string) => call(z.unknown(), 'chat.delete', { channel, ts }),
    /** The id of our message with this key, sent at `began` (epoch s) or later. */
    async findPart(channel: string, key: string, began: number): Promise<string | undefined> {
      const oldest = String(began - CLOCK_SKEW_S);
      const options = { channel, oldest, include_all_metadata: true };
      const sent = await pages(marked, ['conversations.history', 'messages'], options);
      return sent.find(({ metadata }) => metadata?.event_payload?.key === key)?.ts;
    },
    async upload(channel: string, text: string, { path, fileName }: OutboundFile): Promise<string> {
      const file = { channel_id: channel, file: path, filename: fileName };
      const answer = await client.filesUploadV2(text === '' ? file : { ...file, initial_comment: text });
      return sharedFile.parse(answer).files[0]?.files[0]?.id ?? fileName;
    },
    async file(id: string): Promise<{ url: string | undefined; sizeBytes: number }> {
      const answer = z.object({
        file: z.object({ url_private_download: z.string().optional(), size: z.number().optional() }),
      });
      const { file } = await call(answer, 'files.info', { file: id });
      return { url: file.url_private_download, sizeBytes: file.size ?? 0 };
    },
  };
}
