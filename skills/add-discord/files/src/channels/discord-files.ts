// Downloads what somebody attached to a message on Discord, from Discord's own hosts only.
import { timeLimit } from '../core/clock.js';
import { ChannelError } from './channel.js';
import type { DiscordApi, DiscordSettings } from './discord-api.js';
import { toChannelError } from './discord-errors.js';
import { readAnswer, tooLarge } from './download.js';

const DOWNLOAD_TIMEOUT_MS = 120_000;
const HOSTS = ['cdn.discordapp.com', 'media.discordapp.net'];

interface Download {
  /** `<channel>/<message>/<attachment>`. */
  ref: string;
  maxBytes: number;
  signal: AbortSignal;
}

/** Throws ChannelError. */
export async function downloadAttachment(
  api: DiscordApi,
  { root }: DiscordSettings,
  { ref, maxBytes, signal }: Download,
): Promise<Uint8Array> {
  try {
    const [, channel, message, id] = /^(\d+)\/(\d+)\/(\d+)$/.exec(ref) ?? [];
    const attachments = channel && message ? (await api.message(channel, message)).attachments : [];
    const found = attachments.find((one) => one.id === id);
    if (!found || !isDiscords(found.url, root)) throw new ChannelError('permanent', 'Discord does not offer the file');
    if (found.size > maxBytes) throw tooLarge(maxBytes);
    const over = AbortSignal.any([signal, timeLimit(DOWNLOAD_TIMEOUT_MS)]);
    return await readAnswer(await fetch(found.url, { redirect: 'error', signal: over }), 'Discord', maxBytes);
  } catch (error) {
    throw toChannelError(error);
  }
}

/** One of Discord's hosts for files, over TLS; or where the API is, when that is a server of one's own. */
function isDiscords(url: string, root: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, host, origin } = new URL(url);
  return (protocol === 'https:' && HOSTS.includes(host)) || origin === new URL(root).origin;
}
