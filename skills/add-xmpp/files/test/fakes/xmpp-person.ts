// A person with a real XMPP program: writes, reads, opens rooms.
import { randomUUID } from 'node:crypto';
import { client, type Element, xml } from '@xmpp/client';
import { withoutStreamManagement } from '../../src/channels/xmpp-stream.js';
import { eventually } from '../e2e/harness.js';
import { PASSWORD } from './xmpp-server.js';

export interface Person {
  address: string;
  /** Every message with a body that came, oldest first. */
  received: Element[];
  texts(): string[];
  /** Resolves once the server has it. Returns its id. */
  say(to: string, text: string, more?: { room?: boolean; id?: string; children?: Element[] }): Promise<string>;
  /** Enters a room, which is made when there is none; `open` shows everybody's address to everybody. */
  enter(room: string, nick: string, options?: { open?: boolean; title?: string }): Promise<void>;
  send(stanza: Element): Promise<void>;
  request(iq: Element): Promise<Element>;
  leave(): Promise<void>;
}

const OWNER_NS = 'http://jabber.org/protocol/muc#owner';
const MUC = 'http://jabber.org/protocol/muc';

export async function createPerson(address: string, port: number): Promise<Person> {
  const [username = '', domain = ''] = address.split('@');
  const entity = client({
    service: `xmpp://127.0.0.1:${port}`,
    domain,
    resource: 'phone',
    // Quicker than a proof by SCRAM, which the channel uses.
    async credentials(authenticate) {
      await authenticate({ username, password: PASSWORD }, 'PLAIN', xml('user-agent', {}));
    },
  });
  entity.reconnect.stop();
  entity.prependListener('element', withoutStreamManagement);
  entity.on('error', () => undefined);
  const received: Element[] = [];
  const presences: string[] = [];
  entity.on('stanza', (stanza) => {
    if (stanza.name === 'message' && stanza.getChild('body') && stanza.attrs.type !== 'error') received.push(stanza);
    if (stanza.name === 'presence') presences.push(stanza.toString());
  });
  await entity.start();
  await entity.send(xml('presence'));
  const request = (iq: Element) => entity.iqCaller.request(iq);
  const settled = () => request(xml('iq', { type: 'get', to: domain }, xml('ping', { xmlns: 'urn:xmpp:ping' })));
  await settled();
  return {
    address,
    received,
    texts: () => received.map((stanza) => stanza.getChildText('body') ?? ''),
    async say(to, text, { room = false, id = randomUUID(), children = [] } = {}) {
      await entity.send(
        xml('message', { to, type: room ? 'groupchat' : 'chat', id }, xml('body', {}, text), ...children),
      );
      await settled();
      return id;
    },
    async enter(room, nick, { open = false, title = '' } = {}) {
      await entity.send(xml('presence', { to: `${room}/${nick}` }, xml('x', { xmlns: MUC })));
      await eventually(
        () => presences.some((one) => one.includes(room) && one.includes('110')) || undefined,
        'in the room',
      );
      const field = (name: string, value: string) => xml('field', { var: name }, xml('value', {}, value));
      const fields = [
        field('FORM_TYPE', 'http://jabber.org/protocol/muc#roomconfig'),
        field('muc#roomconfig_persistentroom', '1'),
        field('muc#roomconfig_whois', open ? 'anyone' : 'moderators'),
        ...(title ? [field('muc#roomconfig_roomname', title)] : []),
      ];
      const form = xml('x', { xmlns: 'jabber:x:data', type: 'submit' }, ...fields);
      await request(xml('iq', { type: 'set', to: room }, xml('query', { xmlns: OWNER_NS }, form))).catch(
        () => undefined,
      );
    },
    send: (stanza) => entity.send(stanza),
    request,
    async leave() {
      await entity.stop();
    },
  };
}
