// One connection to an XMPP server with xmpp.js: login over TLS only, stanzas in and out. Knows neither what they mean nor what was handled.
import { resolveSrv } from 'node:dns/promises';
import { client, type Element, jid, xml } from '@xmpp/client';
import { atMost, type Clock } from '../core/clock.js';
import { ChannelError } from './channel.js';
import type { XmppSettings } from './xmpp-settings.js';

export type { Element };

export interface Stream {
  /** Our full address. */
  jid: string;
  send(stanza: Element): Promise<void>;
  /** Resolves with the answer; rejects with the stanza error, after a while without one, and when the connection is lost. */
  request(iq: Element): Promise<Element>;
  /** Calls `see` for each message and presence from now on, until the returned function is called. */
  listen(see: (stanza: Element) => void): () => void;
  /** Rejects when the connection is lost, never resolves. */
  lost: Promise<never>;
  /** Ends the connection at once. */
  close(): void;
}

/** How long a server is waited for. */
const ANSWER_MS = 20_000;
/** How long its goodbye is waited for. */
const GOODBYE_MS = 200;
/** Of one login at a time: a newer one replaces the older, which may be a dead one. */
const RESOURCE = 'pinch';

/** Connects and logs in; says good-bye and ends when `signal` aborts. Rejects when the connection cannot be made. */
export async function openStream(settings: XmppSettings, clock: Clock, signal: AbortSignal): Promise<Stream> {
  const entity = client({
    service: settings.service ?? (await findService(settings.domain)),
    domain: settings.domain,
    resource: RESOURCE,
    timeout: ANSWER_MS,
    async credentials(authenticate, mechanisms, _fast, connection) {
      const isSecure = connection.isSecure();
      if (!isSecure && !settings.isLoopback) throw new ChannelError('network', 'the server offers no TLS');
      const mechanism = mechanisms.find((name) => isSecure || name !== 'PLAIN');
      if (mechanism === undefined) throw new ChannelError('network', 'the server knows no way to log in that we know');
      await authenticate({ username: settings.local, password: settings.password }, mechanism, userAgent());
    },
  });
  // It would come back by itself, without catching up first.
  entity.reconnect.stop();
  entity.prependListener('element', withoutStreamManagement);
  let fail = (_reason: unknown): void => undefined;
  const lost = new Promise<never>((_, reject) => {
    fail = reject;
  });
  lost.catch(() => undefined);
  entity.on('error', fail);
  entity.on('disconnect', () => fail(new ChannelError('network', 'the server closed the connection')));
  const close = () => {
    fail(new ChannelError('network', 'the connection was ended'));
    destroy(entity.socket);
  };
  const leave = () => void atMost(clock, GOODBYE_MS, entity.stop()).then(close);
  signal.addEventListener('abort', leave, { once: true });
  lost.catch(() => signal.removeEventListener('abort', leave));
  try {
    signal.throwIfAborted();
    const address = await Promise.race([entity.start(), lost]);
    return {
      jid: address.toString(),
      send: (stanza) => Promise.race([entity.send(stanza), lost]),
      request: (iq) => Promise.race([entity.iqCaller.request(iq, ANSWER_MS), lost]),
      listen(see) {
        const hear = (stanza: Element) => {
          if (stanza.name !== 'iq') see(stanza);
        };
        entity.on('stanza', hear);
        return () => void entity.off('stanza', hear);
      },
      lost,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * xmpp.js resets its count of received stanzas some time after a server began to count, and is thrown out for it
 * (`handled-count-too-high`). The archive tells what was missed anyway. SASL2 would switch it on as well.
 */
export function withoutStreamManagement(element: Element): void {
  if (!element.is('features', 'http://etherx.jabber.org/streams')) return;
  element.remove('sm', 'urn:xmpp:sm:3');
  element.remove('authentication', 'urn:xmpp:sasl:2');
}

const userAgent = () => xml('user-agent', {}, xml('software', {}, 'Pinch'));

/** RFC 6120 section 3.2.1. Only the names come from DNS: the certificate must be the domain's. */
async function findService(domain: string): Promise<string> {
  const found = await resolveSrv(`_xmpp-client._tcp.${domain}`).catch(() => []);
  const [best] = found.filter(({ name }) => name !== '').sort((a, b) => a.priority - b.priority || b.weight - a.weight);
  return best ? `xmpp://${best.name}:${best.port}` : `xmpp://${domain}:5222`;
}

/** xmpp.js can only end a socket, which waits for a server that may be gone; its TLS socket holds the real one inside. */
function destroy(socket: unknown): void {
  if (typeof socket !== 'object' || socket === null) return;
  if ('destroy' in socket && typeof socket.destroy === 'function') socket.destroy();
  else if ('socket' in socket) destroy(socket.socket);
}

/** An attribute; empty when it is not there. */
export const attribute = (element: Element | undefined, name: string): string => {
  const value: unknown = element?.attrs[name];
  return typeof value === 'string' ? value : '';
};

/** Address without the resource, and the resource. Both empty when it is no address. */
export function parseAddress(text: string): { bare: string; resource: string } {
  try {
    const parsed = jid(text);
    return { bare: parsed.bare().toString(), resource: parsed.resource };
  } catch {
    return { bare: '', resource: '' };
  }
}
