// The server's archive of an account or a room (XEP-0313): what came after a known message, in order. Knows nothing about what was handled.
import { randomUUID } from 'node:crypto';
import { xml } from '@xmpp/client';
import { conditionOf } from './xmpp-errors.js';
import { attribute, type Element, type Stream } from './xmpp-stream.js';

export interface Archived {
  /** Its id in the archive. */
  id: string;
  /** When the server took it, epoch ms. */
  sentAt: number;
  message: Element;
}

export interface Page {
  items: Archived[];
  isLast: boolean;
}

export interface Query {
  /** The room whose archive it is; undefined for our own. */
  room?: string | undefined;
  /** Only what came after this id. */
  after?: string | undefined;
  /** Only from this time on, epoch ms. */
  start?: number | undefined;
  /** Only what was said with this person. */
  with?: string | undefined;
  /** The newest ones instead of the oldest. */
  newest?: boolean;
  max: number;
}

const NS = 'urn:xmpp:mam:2';
const RSM = 'http://jabber.org/protocol/rsm';
const DISCO = 'http://jabber.org/protocol/disco#info';

/** Whether the account or room keeps an archive. Throws the stanza error when it does not answer that. */
export async function hasArchive(stream: Stream, address: string): Promise<boolean> {
  const answer = await stream.request(xml('iq', { type: 'get', to: address }, xml('query', { xmlns: DISCO })));
  const features = answer.getChild('query', DISCO)?.getChildren('feature') ?? [];
  return features.some((feature) => attribute(feature, 'var') === NS);
}

/** Has everything kept that is said with us, whoever says it. Some servers do that anyway and let nobody ask for it. */
export async function keepEverything(stream: Stream): Promise<void> {
  const prefs = xml('prefs', { xmlns: NS, default: 'always' }, xml('always', {}), xml('never', {}));
  await stream.request(xml('iq', { type: 'set' }, prefs)).catch((error: unknown) => {
    if (!/^(?:feature-not-implemented|service-unavailable|bad-request)$/.test(conditionOf(error))) throw error;
  });
}

/** One page, oldest first. Throws the stanza error; `item-not-found` says that `after` is not there any more. */
export async function readArchive(stream: Stream, own: string, query: Query): Promise<Page> {
  const queryId = randomUUID();
  const items: Archived[] = [];
  const unlisten = stream.listen((stanza) => {
    const result = stanza.getChild('result', NS);
    // Anybody can send us something that looks like a result: who sends it and the id tell.
    const from = attribute(stanza, 'from') || own;
    if (!result || attribute(result, 'queryid') !== queryId || from !== (query.room ?? own)) return;
    const item = toArchived(result);
    if (item) items.push(item);
  });
  try {
    const iq = xml('iq', { type: 'set', ...(query.room && { to: query.room }) }, queryElement(query, queryId));
    const answer = await stream.request(iq);
    return { items, isLast: attribute(answer.getChild('fin', NS), 'complete') === 'true' };
  } finally {
    unlisten();
  }
}

function queryElement({ after, start, newest, max, with: person }: Query, queryId: string): Element {
  const field = (name: string, value: string) => xml('field', { var: name }, xml('value', {}, value));
  const fields = [
    field('FORM_TYPE', NS),
    ...(start === undefined ? [] : [field('start', new Date(start).toISOString())]),
    ...(person === undefined ? [] : [field('with', person)]),
  ];
  const paging = [
    xml('max', {}, String(max)),
    ...(after === undefined ? [] : [xml('after', {}, after)]),
    ...(newest ? [xml('before', {})] : []),
  ];
  const form = xml('x', { xmlns: 'jabber:x:data', type: 'submit' }, ...fields);
  return xml('query', { xmlns: NS, queryid: queryId }, form, xml('set', { xmlns: RSM }, ...paging));
}

function toArchived(result: Element): Archived | undefined {
  const forwarded = result.getChild('forwarded', 'urn:xmpp:forward:0');
  const message = forwarded?.getChild('message');
  const at = new Date(attribute(forwarded?.getChild('delay'), 'stamp')).getTime();
  const id = attribute(result, 'id');
  return message && id ? { id, sentAt: Number.isNaN(at) ? 0 : at, message } : undefined;
}
