// The REST routes of the fake Discord, each as strict as the real one where a bot could go wrong, and what its objects look like.
import type { FakeAttachment, FakeChannel, FakeMessage, FakeUser, World } from './discord.js';

const MAX_CONTENT = 2_000;
/** `SUPPRESS_NOTIFICATIONS` */
const SILENT = 1 << 12;

export interface Request {
  query: URLSearchParams;
  /** The JSON of a body, of `payload_json` when files go with it. */
  json: Record<string, unknown>;
  files: { filename: string; bytes: Buffer }[];
  /** Where this server is, as the client sees it. */
  origin: string;
}

export interface Answer {
  status: number;
  body: unknown;
}

interface Route {
  name: string;
  method: string;
  path: RegExp;
  answer(world: World, request: Request, ids: string[]): Answer;
}

const ok = (body: unknown): Answer => ({ status: 200, body });
const no = (status: number, code: number, message: string): Answer => ({ status, body: { code, message } });

export const routes: Route[] = [
  {
    name: 'gateway',
    method: 'GET',
    path: /^\/gateway\/bot$/,
    answer: (_world, { origin }) =>
      ok({
        url: origin.replace('http', 'ws'),
        shards: 1,
        session_start_limit: { total: 1000, remaining: 999, reset_after: 1, max_concurrency: 1 },
      }),
  },
  {
    name: 'channel',
    method: 'GET',
    path: /^\/channels\/(\w+)$/,
    answer: (world, _request, [id = '']) => {
      const channel = world.channels.get(id);
      return channel ? ok(describeChannel(world, channel)) : no(404, 10_003, 'Unknown Channel');
    },
  },
  {
    name: 'messages',
    method: 'GET',
    path: /^\/channels\/(\w+)\/messages$/,
    answer: (world, { query, origin }, [id = '']) => {
      const refusal = refused(world, id);
      if (refusal) return refusal;
      const limit = Number(query.get('limit') ?? 50);
      if (limit > 100) return no(400, 50_035, 'Invalid Form Body');
      const after = BigInt(query.get('after') ?? 0);
      // The first ones behind `after`, and of these the newest first.
      const found = world.messages.filter((one) => one.channel === id && BigInt(one.id) > after).slice(0, limit);
      return ok(found.reverse().map((message) => describeMessage(world, message, origin)));
    },
  },
  {
    name: 'message',
    method: 'GET',
    path: /^\/channels\/(\w+)\/messages\/(\w+)$/,
    answer: (world, { origin }, [channel = '', id = '']) => {
      const found = world.messages.find((one) => one.channel === channel && one.id === id);
      return found ? ok(describeMessage(world, found, origin)) : no(404, 10_008, 'Unknown Message');
    },
  },
  {
    name: 'edit',
    method: 'PATCH',
    path: /^\/channels\/(\w+)\/messages\/(\w+)$/,
    answer(world, { json, origin }, [channel = '', id = '']) {
      const found = world.messages.find((one) => one.channel === channel && one.id === id);
      if (!found) return no(404, 10_008, 'Unknown Message');
      if (found.author !== world.self) return no(403, 50_005, 'Cannot edit a message authored by another user');
      const content = String(json.content ?? '');
      if (content === '') return no(400, 50_006, 'Cannot send an empty message');
      if (content.length > MAX_CONTENT) return no(400, 50_035, 'Invalid Form Body');
      Object.assign(found, { content, editedAt: Date.now() });
      return ok(describeMessage(world, found, origin));
    },
  },
  {
    name: 'remove',
    method: 'DELETE',
    path: /^\/channels\/(\w+)\/messages\/(\w+)$/,
    answer(world, _request, [channel = '', id = '']) {
      const at = world.messages.findIndex((one) => one.channel === channel && one.id === id);
      if (at < 0) return no(404, 10_008, 'Unknown Message');
      if (world.messages[at]?.author !== world.self) return no(403, 50_013, 'Missing Permissions');
      world.messages.splice(at, 1);
      return { status: 204, body: undefined };
    },
  },
  { name: 'post', method: 'POST', path: /^\/channels\/(\w+)\/messages$/, answer: post },
  {
    name: 'typing',
    method: 'POST',
    path: /^\/channels\/(\w+)\/typing$/,
    answer: (world, _request, [id = '']) => refused(world, id) ?? { status: 204, body: undefined },
  },
];

function refused({ channels }: World, id: string): Answer | undefined {
  const channel = channels.get(id);
  if (!channel) return no(404, 10_003, 'Unknown Channel');
  return channel.readable ? undefined : no(403, 50_001, 'Missing Access');
}

function post(world: World, { json, files, origin }: Request, [channel = '']: string[]): Answer {
  const refusal = refused(world, channel);
  if (refusal) return refusal;
  const content = String(json.content ?? '');
  const nonce = json.nonce === undefined ? undefined : String(json.nonce);
  if (content === '' && files.length === 0) return no(400, 50_006, 'Cannot send an empty message');
  if (content.length > MAX_CONTENT || (nonce ?? '').length > 25) return no(400, 50_035, 'Invalid Form Body');
  const before = json.enforce_nonce
    ? world.messages.find((one) => one.nonce === nonce && nonce !== undefined)
    : undefined;
  if (before) return ok(describeMessage(world, before, origin));
  const attachments = files.map(({ filename, bytes }) => ({
    id: world.nextId(),
    filename,
    bytes,
    content_type: 'text/plain',
  }));
  const message: FakeMessage = {
    id: world.nextId(),
    channel,
    author: world.self,
    content,
    type: 0,
    at: Date.now(),
    attachments,
    flags: Number(json.flags ?? 0),
    mentionsAllowed: json.allowed_mentions,
    ...(nonce !== undefined && { nonce }),
  };
  world.messages.push(message);
  if (((message.flags ?? 0) & SILENT) === 0) world.rings += 1;
  return ok(describeMessage(world, message, origin));
}

const describeUser = ({ id, username, global_name, bot }: FakeUser) => ({
  id,
  username,
  global_name,
  discriminator: '0',
  avatar: null,
  ...(bot && { bot }),
});

export function describeChannel(world: World, { id, kind, name, user }: FakeChannel) {
  const last = world.messages.filter(({ channel }) => channel === id).at(-1)?.id ?? null;
  if (kind === 'dm') return { id, type: 1, last_message_id: last, recipients: user ? [describeUser(user)] : [] };
  return {
    id,
    type: 0,
    guild_id: '900',
    name,
    last_message_id: last,
    position: 0,
    permission_overwrites: [],
    nsfw: false,
  };
}

const describeAttachment = ({ id, filename, content_type, bytes, url }: FakeAttachment, origin: string) => ({
  id,
  filename,
  content_type,
  size: bytes.length,
  url: url ?? `${origin}/cdn/${id}`,
  proxy_url: `${origin}/cdn/${id}`,
});

export function describeMessage(
  world: World,
  message: FakeMessage,
  origin: string,
  deep = true,
): Record<string, unknown> {
  const { id, channel, author, content, type, at, editedAt, replyTo, attachments, webhook, stickers } = message;
  const mentioned = [...content.matchAll(/<@!?(\d+)>/g)].map(([, user = '']) => world.users.get(user) ?? world.self);
  const replied = world.messages.find((one) => one.id === replyTo);
  return {
    id,
    channel_id: channel,
    author: describeUser(author),
    content,
    type,
    timestamp: new Date(at).toISOString(),
    edited_timestamp: editedAt === undefined ? null : new Date(editedAt).toISOString(),
    tts: false,
    mention_everyone: false,
    mentions: mentioned.map(describeUser),
    mention_roles: [],
    attachments: attachments.map((one) => describeAttachment(one, origin)),
    embeds: [],
    pinned: false,
    components: [],
    flags: message.flags ?? 0,
    ...(webhook && { webhook_id: '77' }),
    ...(stickers && { sticker_items: stickers.map((name) => ({ id: '5', name, format_type: 1 })) }),
    ...(replied && deep && { referenced_message: describeMessage(world, replied, origin, false) }),
  };
}

export function describeGuild(world: World) {
  const channels = [...world.channels.values()].filter(({ kind }) => kind === 'text');
  return {
    id: '900',
    name: 'Family',
    icon: null,
    owner_id: '1',
    joined_at: new Date(0).toISOString(),
    member_count: 2,
    large: false,
    unavailable: false,
    system_channel_flags: 0,
    features: [],
    emojis: [],
    stickers: [],
    members: [],
    voice_states: [],
    presences: [],
    stage_instances: [],
    guild_scheduled_events: [],
    soundboard_sounds: [],
    threads: [],
    roles: [
      {
        id: '900',
        name: '@everyone',
        color: 0,
        hoist: false,
        position: 0,
        permissions: '0',
        managed: false,
        mentionable: false,
        flags: 0,
      },
    ],
    channels: channels.map((channel) => describeChannel(world, channel)),
  };
}
