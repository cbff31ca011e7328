// The Web API methods of the fake Slack, each as strict as the real one where a bot could go wrong, with its words of refusal.
import { describeFile, type FakeConversation, type FakeMessage, type World } from './slack.js';
import type { Answer, Call } from './slack-serve.js';

const MAX_TEXT = 40_000;
const no = (error: string): Answer => ({ ok: false, error });

type Method = (world: World, call: Call) => Answer;

/** Who may call it is checked before. */
const methods: Record<string, Method> = {
  'apps.connections.open': (_world, { openSocket }) => ({ ok: true, url: openSocket() }),
  'auth.test': ({ self }) => ({
    ok: true,
    url: 'https://acme.slack.com/',
    team: self.team,
    user: self.name,
    team_id: 'T1',
    user_id: self.userId,
    bot_id: self.botId,
  }),
  'users.info': ({ users }, { fields }) => {
    const user = users.get(fields.get('user') ?? '');
    return user
      ? { ok: true, user: { ...user, profile: { real_name: user.real_name, display_name: '' } } }
      : no('user_not_found');
  },
  'users.conversations': ({ conversations }, { fields }) => {
    const wanted = (fields.get('types') ?? 'public_channel').split(',');
    const joined = [...conversations.values()].filter((one) => one.joined && wanted.includes(TYPES[one.kind]));
    return paged(joined.map(describeConversation), 'channels', fields);
  },
  'conversations.info': (world, { fields }) => {
    const found = world.conversations.get(fields.get('channel') ?? '');
    return found ? { ok: true, channel: describeConversation(found) } : no('channel_not_found');
  },
  'conversations.history': (world, { fields }) => {
    const refusal = refused(world, fields);
    if (refusal) return refusal;
    const all = world.messages.filter(({ channel }) => channel === fields.get('channel'));
    const top = all.filter(({ ts, thread_ts: thread }) => thread === undefined || thread === ts);
    const shown = after(top, fields)
      .reverse()
      .map((message) => describeMessage(world, message, fields));
    return paged(shown, 'messages', fields);
  },
  'conversations.replies': (world, { fields }) => {
    const refusal = refused(world, fields);
    if (refusal) return refusal;
    const thread = fields.get('ts');
    const all = world.messages.filter(({ channel }) => channel === fields.get('channel'));
    const first = all.find(({ ts }) => ts === thread);
    if (!first) return no('thread_not_found');
    const replies = after(
      all.filter(({ ts, thread_ts }) => thread_ts === thread && ts !== thread),
      fields,
    );
    return paged(
      [first, ...replies].map((message) => describeMessage(world, message, fields)),
      'messages',
      fields,
    );
  },
  'chat.postMessage': (world, { fields }) => {
    const refusal = refused(world, fields);
    if (refusal) return refusal;
    const text = fields.get('text') ?? '';
    if (text === '') return no('no_text');
    if (text.length > MAX_TEXT) return no('msg_too_long');
    const metadata = fields.get('metadata');
    if (metadata !== null && !JSON.parse(metadata).event_type) return no('invalid_metadata_format');
    return {
      ok: true,
      ...post(world, fields.get('channel') ?? '', { text, ...(metadata && { metadata: JSON.parse(metadata) }) }),
    };
  },
  'chat.update': (world, { fields }) => {
    const refusal = refused(world, fields);
    if (refusal) return refusal;
    const text = fields.get('text') ?? '';
    const message = world.messages.find((one) => one.channel === fields.get('channel') && one.ts === fields.get('ts'));
    if (!message) return no('message_not_found');
    if (message.user !== world.self.userId) return no('cant_update_message');
    if (text === '') return no('no_text');
    message.text = text;
    return { ok: true, channel: message.channel, ts: message.ts, text };
  },
  'chat.delete': (world, { fields }) => {
    const refusal = refused(world, fields);
    if (refusal) return refusal;
    const at = world.messages.findIndex((one) => one.channel === fields.get('channel') && one.ts === fields.get('ts'));
    if (at < 0) return no('message_not_found');
    if (world.messages[at]?.user !== world.self.userId) return no('cant_delete_message');
    world.messages.splice(at, 1);
    return { ok: true };
  },
  'files.info': (world, { fields, origin }) => {
    const id = fields.get('file') ?? '';
    const file = world.files.get(id);
    if (!file) return no('file_not_found');
    return {
      ok: true,
      file: { ...describeFile(world, id), url_private_download: file.url ?? `${origin}/files/${id}` },
    };
  },
  'files.getUploadURLExternal': (world, { fields, origin }) => {
    const [name, length] = [fields.get('filename'), Number(fields.get('length'))];
    if (!name || !(length > 0)) return no('invalid_arguments');
    const id = `F${world.files.size + 1}`;
    world.files.set(id, { id, name, mimetype: 'application/octet-stream', bytes: Buffer.alloc(0) });
    return { ok: true, file_id: id, upload_url: `${origin}/upload/${id}` };
  },
  'files.completeUploadExternal': (world, { fields }) => {
    const channel = fields.get('channel_id');
    const refusal = channel === null ? undefined : refused(world, new URLSearchParams({ channel }));
    if (refusal) return refusal;
    const ids: string[] = JSON.parse(fields.get('files') ?? '[]').map((file: { id: string }) => file.id);
    if (ids.some((id) => !world.files.get(id)?.bytes.length)) return no('file_not_found');
    if (channel !== null) post(world, channel, { text: fields.get('initial_comment') ?? '', files: ids });
    return { ok: true, files: ids.map((id) => ({ id, title: world.files.get(id)?.name })) };
  },
};

const TYPES = { channel: 'public_channel', group: 'private_channel', mpim: 'mpim', im: 'im' };

export function callMethod(world: World, name: string, call: Call): Answer {
  const method = methods[name];
  if (!method) return no('unknown_method');
  if (call.token !== world.botToken && call.token !== world.appToken) return no('invalid_auth');
  const wanted = name === 'apps.connections.open' ? world.appToken : world.botToken;
  return call.token === wanted ? method(world, call) : no('not_allowed_token_type');
}

function refused(world: World, fields: URLSearchParams): Answer | undefined {
  const conversation = world.conversations.get(fields.get('channel') ?? '');
  if (!conversation) return no('channel_not_found');
  return conversation.joined ? undefined : no('not_in_channel');
}

function post({ messages, self, nextTs }: World, channel: string, content: Partial<FakeMessage> & { text: string }) {
  const message: FakeMessage = { channel, ts: nextTs(), user: self.userId, bot_id: self.botId, ...content };
  messages.push(message);
  return { channel, ts: message.ts, message: { text: message.text } };
}

/** Slack's `oldest` is exclusive. */
const after = (messages: FakeMessage[], fields: URLSearchParams) =>
  messages.filter(({ ts }) => Number(ts) > Number(fields.get('oldest') ?? 0));

function describeMessage(world: World, message: FakeMessage, fields: URLSearchParams): Record<string, unknown> {
  const { channel: _channel, metadata, files, ...rest } = message;
  const replies = world.messages.filter(({ thread_ts: thread, ts }) => thread === message.ts && ts !== message.ts);
  const latest = replies.at(-1)?.ts;
  return {
    type: 'message',
    ...rest,
    ...(files && { files: files.map((id) => describeFile(world, id)) }),
    ...(latest && { thread_ts: message.ts, reply_count: replies.length, latest_reply: latest }),
    ...(metadata !== undefined && fields.get('include_all_metadata') === 'true' && { metadata }),
  };
}

const describeConversation = ({ id, kind, name, user }: FakeConversation) =>
  kind === 'im'
    ? { id, is_im: true, user }
    : { id, name, is_channel: kind === 'channel', is_group: kind === 'group', is_mpim: kind === 'mpim' };

function paged(items: unknown[], field: string, fields: URLSearchParams): Answer {
  const from = Number(fields.get('cursor') ?? 0);
  const limit = Number(fields.get('limit') ?? 100);
  const rest = from + limit < items.length;
  return {
    ok: true,
    [field]: items.slice(from, from + limit),
    has_more: rest,
    response_metadata: { next_cursor: rest ? String(from + limit) : '' },
  };
}

/** The client sends a form with the file in it; the bytes are between its head and its boundary. */
export function takeUpload({ files }: World, id: string, body: Buffer): void {
  const file = files.get(id);
  if (!file) return;
  const head = body.indexOf('\r\n\r\n');
  const boundary = body.subarray(0, body.indexOf('\r\n')).toString();
  file.bytes = body.subarray(head + 4, body.lastIndexOf(`\r\n${boundary}`));
}

/** Without the right token Slack shows its login page. */
export function fileBytes({ files, botToken }: World, id: string, token: string) {
  const file = files.get(id);
  if (!file) return { status: 404, type: 'text/plain', body: Buffer.from('not found') };
  if (token !== botToken) return { status: 200, type: 'text/html', body: Buffer.from('<html>sign in') };
  return { status: 200, type: file.mimetype, body: file.bytes };
}
