// Files of messages: fetched from WhatsApp's own host whatever address the sender wrote, checked and decrypted here. The library's download
// follows redirects, trusts the bytes, and ends the process when the connection breaks.
import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { getMediaKeys } from '@whiskeysockets/baileys';
import { ChannelError } from './channel.js';
import { readAnswer, tooLarge } from './download.js';
import { mediaRef } from './whatsapp-inbound.js';

const MEDIA_HOST = 'mmg.whatsapp.net';
const TIMEOUT_MS = 120_000;
const MAC_BYTES = 10;
const BLOCK_BYTES = 16;

/** Throws `ChannelError`; `ref` is what `mapMessage` gave. */
export async function fetchWhatsAppMedia(ref: string, maxBytes: number): Promise<Uint8Array> {
  const { type, mediaKey, directPath, sizeBytes } = parseRef(ref);
  if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
  const encrypted = await download(`https://${MEDIA_HOST}${directPath}`, maxBytes);
  const { iv, cipherKey, macKey } = await getMediaKeys(Buffer.from(mediaKey, 'base64'), type);
  const body = encrypted.subarray(0, -MAC_BYTES);
  const mac = createHmac('sha256', macKey ?? '')
    .update(iv)
    .update(body)
    .digest()
    .subarray(0, MAC_BYTES);
  const sent = encrypted.subarray(-MAC_BYTES);
  if (body.length === 0 || body.length % BLOCK_BYTES !== 0 || !timingSafeEqual(mac, sent))
    throw new ChannelError('permanent', 'the file is damaged');
  const decipher = createDecipheriv('aes-256-cbc', cipherKey, iv);
  return Buffer.concat([decipher.update(body), decipher.final()]);
}

async function download(url: string, maxBytes: number): Promise<Buffer> {
  try {
    const headers = { origin: 'https://web.whatsapp.com' };
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS), headers });
    return await readAnswer(response, "WhatsApp's file server", maxBytes + MAC_BYTES + BLOCK_BYTES);
  } catch (error) {
    if (error instanceof ChannelError) throw error;
    throw new ChannelError('network', "WhatsApp's file server cannot be reached", { cause: error });
  }
}

function parseRef(ref: string) {
  const { data: file } = mediaRef.safeParse(ref.startsWith('{') ? JSON.parse(ref) : undefined);
  // Anything but a path could make the address another host's: `https://mmg.whatsapp.net@evil.example/`.
  if (file?.directPath.startsWith('/') && file.mediaKey !== '') return file;
  throw new ChannelError('permanent', 'the message names no file on WhatsApp');
}
