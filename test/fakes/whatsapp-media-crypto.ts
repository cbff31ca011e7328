// How media is encrypted on WhatsApp: AES-256-CBC with a key of its own, a short MAC at the end. Knows nothing about servers.
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { proto } from '@whiskeysockets/baileys';

export type MediaKind = 'image' | 'video' | 'audio' | 'document' | 'sticker';

const KEY_NAMES: Record<MediaKind, string> = {
  image: 'WhatsApp Image Keys',
  video: 'WhatsApp Video Keys',
  audio: 'WhatsApp Audio Keys',
  document: 'WhatsApp Document Keys',
  sticker: 'WhatsApp Image Keys',
};
const MAC_BYTES = 10;

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

function keysFor(kind: MediaKind, mediaKey: Uint8Array) {
  const all = Buffer.from(hkdfSync('sha256', mediaKey, '', KEY_NAMES[kind], 112));
  return { iv: all.subarray(0, 16), cipher: all.subarray(16, 48), mac: all.subarray(48, 80) };
}

const macOf = (key: Uint8Array, iv: Uint8Array, body: Uint8Array) =>
  createHmac('sha256', key).update(iv).update(body).digest().subarray(0, MAC_BYTES);

export function encryptMedia(kind: MediaKind, plain: Uint8Array): { mediaKey: Buffer; file: Buffer } {
  const mediaKey = randomBytes(32);
  const { iv, cipher, mac } = keysFor(kind, mediaKey);
  const aes = createCipheriv('aes-256-cbc', cipher, iv);
  const body = Buffer.concat([aes.update(plain), aes.final()]);
  return { mediaKey, file: Buffer.concat([body, macOf(mac, iv, body)]) };
}

/** Throws when the file was changed. */
export function decryptMedia(kind: MediaKind, mediaKey: Uint8Array, file: Buffer): Buffer {
  const { iv, cipher, mac } = keysFor(kind, mediaKey);
  const body = file.subarray(0, -MAC_BYTES);
  if (!file.subarray(-MAC_BYTES).equals(macOf(mac, iv, body))) throw new Error('the MAC of the media does not fit');
  const aes = createDecipheriv('aes-256-cbc', cipher, iv);
  return Buffer.concat([aes.update(body), aes.final()]);
}

/** What a media message says about its file, whatever its kind. */
export interface MediaPointer {
  kind: MediaKind;
  url: string;
  directPath: string;
  mediaKey: Uint8Array;
  fileSha256: Uint8Array;
  fileEncSha256: Uint8Array;
}

/** The file of a message. Throws when there is none, or a part is missing. */
export function mediaIn(message: proto.IMessage): MediaPointer {
  const inner = message.documentWithCaptionMessage?.message ?? message;
  const parts = {
    image: inner.imageMessage,
    video: inner.videoMessage,
    audio: inner.audioMessage,
    document: inner.documentMessage,
    sticker: inner.stickerMessage,
  };
  const kinds: MediaKind[] = ['image', 'video', 'audio', 'document', 'sticker'];
  const kind = kinds.find((one) => parts[one]);
  const part = kind && parts[kind];
  if (!kind || !part) throw new Error('the message holds no media');
  const { url, directPath, mediaKey, fileSha256, fileEncSha256 } = part;
  if (!url || !directPath || !mediaKey || !fileSha256 || !fileEncSha256) throw new Error('the media is incomplete');
  return { kind, url, directPath, mediaKey, fileSha256, fileEncSha256 };
}
