// The table of Bot API methods. Sending is in telegram-send.ts; knows nothing about HTTP.
import { z } from 'zod';
import { ApiError, badRequest, booleanField, type CallParams, integerField, jsonField } from './telegram-params.js';
import {
  deleteMessage,
  editMessageReplyMarkup,
  editMessageText,
  sendDocument,
  sendMessage,
  sendPhoto,
} from './telegram-send.js';
import type { BotState } from './telegram-state.js';
import { readActionTopic } from './telegram-topics.js';
import { DOWNLOAD_LIMIT_BYTES } from './telegram-world.js';

/** Returns the `result` of the answer; throws `ApiError`. `signal` aborts when the client has gone. */
export type Method = (state: BotState, params: CallParams, signal: AbortSignal) => unknown;

const MAX_POLL_SECONDS = 50;

/** By lower-case name: method names are not case-sensitive. */
export const METHODS: Record<string, Method> = {
  getme: (state) => state.me,
  getupdates: getUpdates,
  setwebhook: setWebhook,
  deletewebhook: deleteWebhook,
  getwebhookinfo: (state) => ({
    url: state.webhookUrl,
    has_custom_certificate: false,
    pending_update_count: state.updates.pending().length,
  }),
  setmycommands: setMyCommands,
  deletemycommands: deleteMyCommands,
  getmycommands: (state) => state.commands,
  sendmessage: sendMessage,
  sendphoto: sendPhoto,
  senddocument: sendDocument,
  editmessagetext: editMessageText,
  deletemessage: deleteMessage,
  editmessagereplymarkup: editMessageReplyMarkup,
  answercallbackquery: answerCallbackQuery,
  sendchataction: sendChatAction,
  setmessagereaction: setMessageReaction,
  getfile: getFile,
  getchat: getChat,
  getchatmember: getChatMember,
  leavechat: leaveChat,
};

function getUpdates(state: BotState, params: CallParams, signal: AbortSignal): Promise<unknown> {
  if (state.webhookUrl !== '') {
    throw new ApiError(
      409,
      "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
    );
  }
  const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  return state.updates.poll({
    offset: integerField(params, 'offset', 0),
    limit: clamp(integerField(params, 'limit', 100), 1, 100),
    timeout: clamp(integerField(params, 'timeout', 0), 0, MAX_POLL_SECONDS),
    allowed: readAllowedUpdates(params),
    signal,
  });
}

function readAllowedUpdates(params: CallParams): string[] | undefined {
  const list = z.array(z.string()).safeParse(jsonField(params, 'allowed_updates', 'allowed updates'));
  return list.success ? list.data : undefined;
}

function setWebhook(state: BotState, params: CallParams): boolean {
  state.webhookUrl = params.fields.get('url') ?? '';
  if (state.webhookUrl !== '') {
    state.updates.interrupt(new ApiError(409, 'Conflict: terminated by setWebhook request'));
  }
  return true;
}

function deleteWebhook(state: BotState, params: CallParams): boolean {
  state.webhookUrl = '';
  if (booleanField(params, 'drop_pending_updates')) state.updates.forgetAll();
  return true;
}

function setMyCommands(state: BotState, params: CallParams): boolean {
  const list = z
    .array(z.object({ command: z.string(), description: z.string() }))
    .safeParse(jsonField(params, 'commands', 'commands'));
  if (!list.success) throw badRequest("can't parse commands JSON object");
  if (list.data.length > 100) throw badRequest('BOT_COMMANDS_TOO_MUCH');
  for (const { command, description } of list.data) {
    if (!/^[a-z0-9_]{1,32}$/.test(command)) throw badRequest('BOT_COMMAND_INVALID');
    if (description.length < 1 || description.length > 256) throw badRequest('BOT_COMMAND_DESCRIPTION_INVALID');
  }
  const chat = scopeChat(params);
  state.menuCalls += 1;
  if (chat === undefined) state.commands = list.data;
  else state.chatCommands.set(chat, list.data);
  return true;
}

/** The chat of a scope; undefined for everybody's. */
function scopeChat(params: CallParams): number | undefined {
  if (!params.fields.has('scope')) return undefined;
  const scope = z
    .union([z.object({ type: z.literal('default') }), z.object({ type: z.literal('chat'), chat_id: z.int() })])
    .safeParse(jsonField(params, 'scope', 'scope'));
  if (!scope.success) throw badRequest('unsupported scope specified');
  return 'chat_id' in scope.data ? scope.data.chat_id : undefined;
}

function deleteMyCommands(state: BotState, params: CallParams): boolean {
  const chat = scopeChat(params);
  state.menuCalls += 1;
  if (chat === undefined) state.commands = [];
  else state.chatCommands.delete(chat);
  return true;
}

const ACTIONS = [
  'typing',
  'upload_photo',
  'record_video',
  'upload_video',
  'record_voice',
  'upload_voice',
  'upload_document',
  'choose_sticker',
  'find_location',
  'record_video_note',
  'upload_video_note',
];

function sendChatAction(state: BotState, params: CallParams): boolean {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const action = params.fields.get('action') ?? '';
  if (!ACTIONS.includes(action)) throw badRequest('wrong parameter action in request');
  state.actions.push({ chat_id: room.chat.id, ...readActionTopic(room, params), action, at: Date.now() });
  state.waiters.notify();
  return true;
}

/** Each press can be answered, a few minutes long; a second answer is taken too. */
function answerCallbackQuery(state: BotState, params: CallParams): boolean {
  const press = state.presses.find(({ id }) => id === params.fields.get('callback_query_id'));
  if (!press) throw badRequest('query is too old and response timeout expired or query ID is invalid');
  press.answered = true;
  state.waiters.notify();
  return true;
}

function setMessageReaction(state: BotState, params: CallParams): boolean {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  const messageId = integerField(params, 'message_id', 0);
  if (!room.messages.has(messageId)) throw badRequest('message to react not found');
  const list = z
    .array(z.object({ type: z.literal('emoji'), emoji: z.string().min(1) }))
    .max(1)
    .safeParse(jsonField(params, 'reaction', 'reaction types') ?? []);
  if (!list.success) throw badRequest('REACTION_INVALID');
  const emoji = list.data.map((reaction) => reaction.emoji);
  state.reactions.push({ chat_id: room.chat.id, message_id: messageId, emoji, at: Date.now() });
  state.waiters.notify();
  return true;
}

function getFile(state: BotState, params: CallParams): unknown {
  const file = state.world.files.get(params.fields.get('file_id') ?? '');
  if (!file) throw badRequest('invalid file_id');
  if (file.sizeBytes > DOWNLOAD_LIMIT_BYTES) throw badRequest('file is too big');
  return { file_id: file.id, file_unique_id: file.uniqueId, file_size: file.sizeBytes, file_path: file.path };
}

function getChat(state: BotState, params: CallParams): unknown {
  const room = state.world.findRoom(params.fields.get('chat_id'));
  const gifts = {
    unlimited_gifts: false,
    limited_gifts: false,
    unique_gifts: false,
    premium_subscription: false,
    gifts_from_channels: false,
  };
  return { ...room.chat, accent_color_id: 0, max_reaction_count: 11, accepted_gift_types: gifts };
}

function getChatMember(state: BotState, params: CallParams): unknown {
  const room = state.world.findRoom(params.fields.get('chat_id'));
  const user = state.world.users.get(integerField(params, 'user_id', 0));
  if (!user) throw badRequest('invalid user_id specified');
  if (user.id === state.me.id && room.bot === 'kicked') return { status: 'kicked', user, until_date: 0 };
  return { status: room.members.has(user.id) ? 'member' : 'left', user };
}

function leaveChat(state: BotState, params: CallParams): boolean {
  const room = state.world.findWritableRoom(params.fields.get('chat_id'));
  if (room.chat.type === 'private') throw badRequest("chat can't be left");
  room.bot = 'left';
  room.members.delete(state.me.id);
  state.waiters.notify();
  return true;
}
