// Downloads what somebody attached to a message on Discord, from Discord's own hosts only.
import { ChannelError } from './channel.js';
import type { DiscordSettings } from './discord.js';
import type { DiscordApi } from './discord-api.js';
import { toChannelError } from './discord-errors.js';

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
    const over = AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS)]);
    const response = await fetch(found.url, { redirect: 'error', signal: over });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new ChannelError(response.status >= 500 ? 'network' : 'permanent', `Discord answered ${response.status}`);
    }
    return await read(response.body, maxBytes);
  } catch (error) {
    throw toChannelError(error);
  }
}

async function read(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let left = maxBytes;
  for await (const chunk of body) {
    left -= chunk.byteLength;
    // Leaving the loop early cancels the rest of the download.
    if (left < 0) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** One of Discord's hosts for files, over TLS; or where the API is, when that is a server of one's own. */
function isDiscords(url: string, root: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, host, origin } = new URL(url);
  return (protocol === 'https:' && HOSTS.includes(host)) || origin === new URL(root).origin;
}

const tooLarge = (maxBytes: number) =>
  new ChannelError('permanent', `larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`);
