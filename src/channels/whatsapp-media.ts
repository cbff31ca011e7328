// Downloads of WhatsApp media: from WhatsApp's own host only, whatever the sender wrote, and never more than asked for.
import { downloadContentFromMessage } from '@whiskeysockets/baileys';
import { z } from 'zod';
import { ChannelError } from './channel.js';
import { mediaRef } from './whatsapp-inbound.js';

const MEDIA_HOST = 'mmg.whatsapp.net';
const TIMEOUT_MS = 120_000;

/** Throws `ChannelError`; `ref` is what `mapMessage` gave. */
export async function fetchWhatsAppMedia(ref: string, maxBytes: number): Promise<Uint8Array> {
  const { type, mediaKey, directPath, sizeBytes } = mediaRef.parse(JSON.parse(ref));
  // Anything but a path could make the address another host's: `https://mmg.whatsapp.net@evil.example/`.
  if (!directPath.startsWith('/') || mediaKey === '')
    throw new ChannelError('permanent', 'the message names no file on WhatsApp');
  if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
  try {
    const source = { mediaKey: Buffer.from(mediaKey, 'base64'), directPath };
    const options = { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) } as const;
    const chunks: Buffer[] = [];
    let received = 0;
    for await (const chunk of await downloadContentFromMessage(source, type, { host: MEDIA_HOST, options })) {
      received += chunk.length;
      if (received > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof ChannelError) throw error;
    // Without the cause: it may hold the address with its token.
    if (isPassing(error)) throw new ChannelError('network', 'WhatsApp does not send the file now');
    throw new ChannelError('permanent', 'WhatsApp no longer has the file, or it is damaged');
  }
}

/** Nobody answered, or a server is in trouble. The library puts the HTTP status into `output`. */
function isPassing(error: unknown): boolean {
  if (error instanceof TypeError || (error instanceof Error && /^(Timeout|Abort)Error$/.test(error.name))) return true;
  const answer = z.object({ output: z.object({ statusCode: z.number() }) }).safeParse(error);
  return answer.success && (answer.data.output.statusCode >= 500 || answer.data.output.statusCode === 429);
}

const tooLarge = (maxBytes: number) =>
  new ChannelError('permanent', `larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`);
