// Files of XMPP messages: fetched by HTTPS from wherever people put them, uploaded to our own server (XEP-0363).

import { lookup } from 'node:dns/promises';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { BlockList, isIPv6, type LookupFunction } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import { xml } from '@xmpp/client';
import { timeLimit } from '../core/clock.js';
import { ChannelError, type OutboundFile } from './channel.js';
import { readAtMost } from './download.js';
import { attribute, type Element, type Stream } from './xmpp-stream.js';

const NS = 'urn:xmpp:http:upload:0';
const ITEMS = 'http://jabber.org/protocol/disco#items';
const INFO = 'http://jabber.org/protocol/disco#info';
const TRANSFER_MS = 120_000;

/** Where no link of a stranger may lead us: this machine, its network, and whatever stands for them. */
const inner = new BlockList();
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  inner.addSubnet(net, bits, 'ipv4');
/** Of IPv6 only global unicast is let through, without the parts of it that embed IPv4 addresses. */
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
for (const [net, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
] as const)
  inner.addSubnet(net, bits, 'ipv6');

/** Whether an address is a place in the open internet. */
export const isPublic = (address: string): boolean =>
  isIPv6(address) ? global6.check(address, 'ipv6') && !inner.check(address, 'ipv6') : !inner.check(address, 'ipv4');

export interface FileAccess {
  /** The XMPP server is this machine itself, and so may be its files. */
  isLoopback: boolean;
  signal: AbortSignal;
}

/** Throws ChannelError: `permanent` for a link that leads nowhere it may, or to more than `maxBytes`. */
export async function download(link: string, maxBytes: number, access: FileAccess): Promise<Uint8Array> {
  const url = URL.canParse(link) ? new URL(link) : undefined;
  const isOwn = access.isLoopback && url?.protocol === 'http:' && ['127.0.0.1', 'localhost'].includes(url.hostname);
  if (!url || (url.protocol !== 'https:' && !isOwn)) throw new ChannelError('permanent', 'this is no link to a file');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const { address, family } = await lookup(host).catch((cause) => {
    throw new ChannelError('retry', 'the host of the file is not known', { cause });
  });
  if (!isOwn && !isPublic(address)) throw new ChannelError('permanent', 'the link leads into a private network');
  // The address that was looked at is the one that is connected to.
  const options = { servername: host, lookup: fixedLookup(address, family), signal: limited(access.signal) };
  const response = await answered((isOwn ? plainRequest : secureRequest)(url, options).end());
  if (response.statusCode !== 200) {
    response.destroy();
    const passing = (response.statusCode ?? 500) >= 500;
    throw new ChannelError(passing ? 'retry' : 'permanent', `the host of the file answers ${response.statusCode}`);
  }
  return readAtMost(response, maxBytes).catch((cause) => {
    throw cause instanceof ChannelError ? cause : new ChannelError('retry', 'the download broke off', { cause });
  });
}

const fixedLookup =
  (address: string, family: number): LookupFunction =>
  (_host, options, done) =>
    options.all ? done(null, [{ address, family }]) : done(null, address, family);

const limited = (signal: AbortSignal) => AbortSignal.any([signal, timeLimit(TRANSFER_MS)]);

function answered(call: ReturnType<typeof plainRequest>): Promise<Readable & { statusCode?: number | undefined }> {
  return new Promise((resolve, reject) => {
    call.once('response', resolve);
    call.once('error', () => reject(new ChannelError('retry', 'the host of the file cannot be reached')));
  });
}

/** Puts a file onto our server; resolves with its address. Throws ChannelError, and the stanza error of a server that refuses it. */
export async function upload(stream: Stream, domain: string, file: OutboundFile, access: FileAccess): Promise<string> {
  const size = await stat(file.path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) throw new ChannelError('permanent', 'the file cannot be read');
  const service = await findService(stream, domain);
  if (service === undefined) throw new ChannelError('permanent', 'the XMPP server takes no files (XEP-0363)');
  const attributes = { xmlns: NS, filename: file.fileName, size: String(size), 'content-type': file.mimeType };
  const answer = await stream.request(xml('iq', { type: 'get', to: service }, xml('request', attributes)));
  const slot = answer.getChild('slot', NS);
  const [put, get] = [slot?.getChild('put'), attribute(slot?.getChild('get'), 'url')];
  const target = attribute(put, 'url');
  if (!/^https:/.test(target) && !(access.isLoopback && /^http:/.test(target)))
    throw new ChannelError('permanent', 'the XMPP server takes files without TLS only');
  const headers = { ...allowedHeaders(put), 'content-type': file.mimeType, 'content-length': size };
  const call = (target.startsWith('https:') ? secureRequest : plainRequest)(target, {
    method: 'PUT',
    headers,
    signal: limited(access.signal),
  });
  // Either one's end closes the other: an upload that breaks off must not leave the file open.
  pipeline(createReadStream(file.path), call, () => undefined);
  const response = await answered(call);
  response.resume();
  if (response.statusCode === 201 || response.statusCode === 200) return get;
  throw new ChannelError('retry', `the upload was answered ${response.statusCode}`);
}

/** The only ones a server may ask for (XEP-0363 section 5). */
function allowedHeaders(put: Element | undefined): Record<string, string> {
  const asked = (put?.getChildren('header') ?? []).map((one) => [
    attribute(one, 'name'),
    one.text().replace(/[\r\n]/g, ''),
  ]);
  return Object.fromEntries(asked.filter(([name]) => /^(?:authorization|cookie|expires)$/i.test(name ?? '')));
}

async function findService(stream: Stream, domain: string): Promise<string | undefined> {
  const items = await stream.request(xml('iq', { type: 'get', to: domain }, xml('query', { xmlns: ITEMS })));
  const names = (items.getChild('query', ITEMS)?.getChildren('item') ?? []).map((item) => attribute(item, 'jid'));
  for (const name of [domain, ...names].slice(0, 20)) {
    const info = await stream
      .request(xml('iq', { type: 'get', to: name }, xml('query', { xmlns: INFO })))
      .catch(() => undefined);
    const features = info?.getChild('query', INFO)?.getChildren('feature') ?? [];
    if (features.some((feature) => attribute(feature, 'var') === NS)) return name;
  }
  return undefined;
}
