// The media servers of WhatsApp as one HTTPS server on 127.0.0.1: uploads from the client, files for it to download.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { proto } from '@whiskeysockets/baileys';
import { mintCertificate } from './whatsapp-certificate.js';
import { decryptMedia, encryptMedia, type MediaKind, mediaIn, sha256 } from './whatsapp-media-crypto.js';

export type { MediaKind } from './whatsapp-media-crypto.js';

/** The host that real media messages name. */
const REAL_HOST = 'mmg.whatsapp.net';
export const MEDIA_AUTH = 'media-auth';

export interface MediaFields {
  mimetype?: string;
  caption?: string;
  fileName?: string;
  /** Seconds of audio or video. */
  seconds?: number;
  /** A voice message. */
  ptt?: boolean;
  /** Says it is so large, whatever it is. */
  fileLength?: number;
  /** Where the message claims that the file is; default the real host. */
  host?: string;
}

export interface Upload {
  /** Where it can be downloaded. */
  path: string;
  kind: string;
  /** Encrypted, as it came. */
  bytes: Buffer;
}

export interface FakeMedia {
  /** `127.0.0.1:<port>`, which the client is told to upload to. */
  host: string;
  /** PEM of the authority that a client has to trust. */
  ca: string;
  /** Trusts that authority: the library's `fetchAgent`. */
  agent: Agent;
  uploads: Upload[];
  /** Every URL that `fetch` was asked for, foreign ones too. */
  fetched: string[];
  /** Puts a file at a path, as it is. */
  serve(path: string, bytes: Uint8Array): void;
  /** Encrypts a file, serves it, and gives the message that points to it, for `says({ message })`. */
  offer(kind: MediaKind, bytes: Uint8Array, fields?: MediaFields): proto.IMessage;
  /** What a person sees of a media message from the client. Throws when it cannot be fetched, or hashes or MAC do not fit. */
  open(message: proto.IMessage): Buffer;
  /** The next requests, up or down, get this status. */
  failNext(status: number, times?: number): void;
  /** For `vi.stubGlobal('fetch', …)`, which the library downloads with: *.whatsapp.net leads here, nothing else anywhere. */
  fetch: typeof globalThis.fetch;
  /** By which another process, whose `NODE_EXTRA_CA_CERTS` names a file with `ca`, fetches as with `fetch`. */
  nodeOptions: string;
  close(): Promise<void>;
}

interface MediaState {
  files: Map<string, Buffer>;
  uploads: Upload[];
  failures: number[];
}

const answer = (response: ServerResponse, status: number, body: object = {}) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

async function takeUpload(state: MediaState, incoming: IncomingMessage, response: ServerResponse, url: URL) {
  const bytes = await buffer(incoming);
  if (url.searchParams.get('auth') !== MEDIA_AUTH) return answer(response, 401, { error: 'auth' });
  const token = sha256(bytes).toString('base64url');
  if (url.searchParams.get('token')?.replace(/=+$/, '') !== token) return answer(response, 400, { error: 'token' });
  const path = `/v/t62.7118-24/${state.uploads.length + 1}_${token}.enc`;
  state.files.set(path, bytes);
  state.uploads.push({ path, kind: url.pathname.split('/')[2] ?? '', bytes });
  return answer(response, 200, { url: `https://${REAL_HOST}${path}`, direct_path: path });
}

async function handle(state: MediaState, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(incoming.url ?? '/', `https://${REAL_HOST}`);
  const failure = state.failures.shift();
  if (failure !== undefined) {
    incoming.resume();
    answer(response, failure, { error: 'on order' });
  } else if (incoming.method === 'POST') {
    await takeUpload(state, incoming, response, url);
  } else {
    const file = state.files.get(url.pathname);
    if (file) response.writeHead(200, { 'content-length': file.length }).end(file);
    else answer(response, 404);
  }
}

/** Fetches through the loopback server whatever host the URL names, as long as it is WhatsApp's. */
function createFetch(port: number, agent: Agent, fetched: string[]): typeof globalThis.fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    fetched.push(url.href);
    const isOurs = url.hostname.endsWith('.whatsapp.net') || url.host === `127.0.0.1:${port}`;
    if (!isOurs) throw new TypeError('fetch failed', { cause: new Error(`getaddrinfo ENOTFOUND ${url.hostname}`) });
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      const target = { agent, host: '127.0.0.1', port, path: url.pathname + url.search };
      const signal = init?.signal;
      const outgoing = request({ ...target, ...(signal ? { signal } : {}) }, resolve);
      outgoing.on('error', reject).end();
    });
    const length = incoming.headers['content-length'];
    const headers = length === undefined ? {} : { 'content-length': length };
    return new Response(Readable.toWeb(incoming), { status: incoming.statusCode ?? 500, headers });
  };
}

function pointer(kind: MediaKind, common: object, fields: MediaFields): proto.IMessage {
  const { caption = null, fileName = null, seconds = null, ptt = null } = fields;
  switch (kind) {
    case 'image':
      return { imageMessage: { ...common, caption } };
    case 'video':
      return { videoMessage: { ...common, caption, seconds } };
    case 'audio':
      return { audioMessage: { ...common, seconds, ptt } };
    case 'document':
      return { documentMessage: { ...common, caption, fileName, title: fileName } };
    case 'sticker':
      return { stickerMessage: common };
  }
}

const MIMETYPES: Record<MediaKind, string> = {
  image: 'image/jpeg',
  video: 'video/mp4',
  audio: 'audio/ogg; codecs=opus',
  document: 'application/octet-stream',
  sticker: 'image/webp',
};

function offerIn({ files }: MediaState, kind: MediaKind, bytes: Uint8Array, fields: MediaFields): proto.IMessage {
  const { mediaKey, file } = encryptMedia(kind, bytes);
  const directPath = `/v/t62.7118-24/in_${files.size + 1}.enc`;
  files.set(directPath, file);
  const common = {
    url: `https://${fields.host ?? REAL_HOST}${directPath}`,
    directPath,
    mediaKey,
    fileSha256: sha256(bytes),
    fileEncSha256: sha256(file),
    fileLength: fields.fileLength ?? bytes.length,
    mimetype: fields.mimetype ?? MIMETYPES[kind],
  };
  return pointer(kind, common, fields);
}

function openIn({ files }: MediaState, message: proto.IMessage): Buffer {
  const { kind, directPath, mediaKey, fileSha256, fileEncSha256 } = mediaIn(message);
  const file = files.get(directPath);
  if (!file) throw new Error(`nothing is at ${directPath}`);
  if (!sha256(file).equals(fileEncSha256)) throw new Error('the hash of the encrypted file does not fit');
  const plain = decryptMedia(kind, mediaKey, file);
  if (!sha256(plain).equals(fileSha256)) throw new Error('the hash of the file does not fit');
  return plain;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address: AddressInfo | string | null = server.address();
      if (address === null || typeof address === 'string') return reject(new Error('no port'));
      resolve(address.port);
    });
  });
}

const ELSEWHERE = `const real = fetch;
globalThis.fetch = (to, init) => {
  const url = new URL(to);
  if (url.hostname.endsWith('.whatsapp.net')) url.host = '127.0.0.1:PORT';
  return real(url, init);
};`;

/** Starts the media server on a free port. */
export async function startMedia(): Promise<FakeMedia> {
  const { cert, key } = mintCertificate();
  const state: MediaState = { files: new Map(), uploads: [], failures: [] };
  const server = createServer({ cert, key }, (incoming, response) => {
    // A client that hangs up in the middle of its upload gets no answer.
    handle(state, incoming, response).catch(() => response.destroy());
  });
  const port = await listen(server);
  const agent = new Agent({ ca: cert });
  const fetched: string[] = [];
  return {
    host: `127.0.0.1:${port}`,
    ca: cert,
    agent,
    uploads: state.uploads,
    fetched,
    serve: (path, bytes) => void state.files.set(path, Buffer.from(bytes)),
    offer: (kind, bytes, fields = {}) => offerIn(state, kind, bytes, fields),
    open: (message) => openIn(state, message),
    failNext: (status, times = 1) => void state.failures.push(...Array.from({ length: times }, () => status)),
    fetch: createFetch(port, agent, fetched),
    nodeOptions: `--import=data:text/javascript,${encodeURIComponent(ELSEWHERE.replace('PORT', `${port}`))}`,
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
