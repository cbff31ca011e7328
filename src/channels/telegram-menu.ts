// The commands that Telegram offers when somebody types a slash: everybody's, and in the owner's direct chats all of them. Telegram is told
// only what changed since it was told last, also over a restart.
import { createHash } from 'node:crypto';
import type { AbortController as CallAbort } from 'abort-controller';
import type { Api } from 'grammy';
import { z } from 'zod';
import type { ChannelStorage, Menu, MenuItem } from './channel.js';

const ROW = { kind: 'menu', id: 'sent' };
/** By chat, '' for everybody: what Telegram was told last. */
const sentMenus = z.record(z.string(), z.string());
const MAX_DESCRIPTION_CHARS = 256;

export interface MenuDeps {
  api: Api;
  bot: { id: number };
  storage: Pick<ChannelStorage, 'get' | 'set'>;
  signal: CallAbort['signal'];
}

/** Rejects with what Telegram refuses; what was told until then is remembered. */
export async function tellMenu({ api, bot, storage, signal }: MenuDeps, menu: Menu): Promise<void> {
  const id = `${ROW.id}:${bot.id}`;
  const sent = parsed(storage.get(ROW.kind, [id])[id]);
  const keep = () => storage.set([{ kind: ROW.kind, id, value: JSON.stringify(sent) }]);
  const wanted = new Map([
    ['', menu.everybody],
    ...menu.ownerChats.map((chat): [string, MenuItem[]] => [chat, menu.owner]),
  ]);
  for (const [chat, items] of wanted) {
    const mark = createHash('sha256').update(JSON.stringify(items)).digest('base64url');
    if (sent[chat] === mark) continue;
    await api.setMyCommands(items.map(commandOf), { scope: scopeOf(chat) }, signal);
    sent[chat] = mark;
    keep();
  }
  // Whoever is no longer the owner sees what everybody sees.
  for (const chat of Object.keys(sent).filter((one) => !wanted.has(one))) {
    await api.deleteMyCommands({ scope: scopeOf(chat) }, signal);
    delete sent[chat];
    keep();
  }
}

function parsed(value: string | undefined): Record<string, string> {
  try {
    return sentMenus.safeParse(JSON.parse(value ?? '{}')).data ?? {};
  } catch {
    return {};
  }
}

const commandOf = ({ name, what }: MenuItem) => ({ command: name, description: what.slice(0, MAX_DESCRIPTION_CHARS) });

const scopeOf = (chat: string) =>
  chat === '' ? { type: 'default' as const } : { type: 'chat' as const, chat_id: Number(chat) };
