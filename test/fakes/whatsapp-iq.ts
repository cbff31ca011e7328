// The questions of a logged-in client and their answers: key bundles, devices of people, groups, settings.
import { keyIndex } from './whatsapp-device.js';
import { groupNode } from './whatsapp-groups.js';
import { MEDIA_AUTH } from './whatsapp-media.js';
import { type BinaryNode, bytesAt, childOf, childrenOf, deviceOf, el, numberAt, SERVER } from './whatsapp-node.js';
import { type LinkedDevice, personAt, type World } from './whatsapp-state.js';

const READ_RECEIPTS = el('category', { name: 'readreceipts', value: 'all' });

function iqError(code: number, text: string): BinaryNode[] {
  return [el('error', { code: String(code), text })];
}

function publicKeyIn(node: BinaryNode): { keyId: number; publicKey: Buffer } {
  return { keyId: numberAt(node, 'id'), publicKey: bytesAt(node, 'value') };
}

/** The client publishes its keys. */
function takeKeys(device: LinkedDevice, iq: BinaryNode): void {
  const signed = childOf(iq, 'skey') ?? childOf(iq, 'rotate', 'skey');
  if (signed) device.signedPreKey = { ...publicKeyIn(signed), signature: bytesAt(signed, 'signature') };
  if (childOf(iq, 'identity')) device.identity = bytesAt(iq, 'identity');
  if (childOf(iq, 'registration')) device.registrationId = numberAt(iq, 'registration');
  device.preKeys.push(...childrenOf(childOf(iq, 'list'), 'key').map(publicKeyIn));
}

async function bundlesFor(world: World, users: BinaryNode[]): Promise<BinaryNode[]> {
  const found: BinaryNode[] = [];
  for (const { attrs } of users) {
    const person = personAt(world, attrs.jid ?? '');
    // The library also asks for its own device: answering would overwrite its session with the owner's phone.
    if (person && deviceOf(attrs.jid ?? '') === 0)
      found.push(el('user', { jid: attrs.jid }, await person.signal.bundle()));
  }
  return [el('list', {}, found)];
}

async function encryptAnswer(world: World, iq: BinaryNode): Promise<BinaryNode[]> {
  const { device } = world;
  if (!device) return iqError(401, 'not-authorized');
  if (childOf(iq, 'key')) return bundlesFor(world, childrenOf(childOf(iq, 'key'), 'user'));
  // 0 would make the client upload 812 keys, which takes longer than most tests.
  if (childOf(iq, 'count')) return [el('count', { value: String(Math.max(1, device.preKeys.length)) })];
  if (childOf(iq, 'digest')) return [el('digest', {}, [el('identity', {}, device.identity)])];
  takeKeys(device, iq);
  return [];
}

/** Who somebody is: their devices, their LID, whether they use WhatsApp at all. */
function usyncUser(world: World, user: BinaryNode, wanted: Set<string>): BinaryNode {
  const phone = childOf(user, 'contact')?.content;
  const jid = user.attrs.jid ?? `${String(phone).replace('+', '')}@${SERVER}`;
  const person = personAt(world, jid);
  const parts: BinaryNode[] = [];
  if (wanted.has('devices') && person) {
    const devices = [el('device', { id: '0' })];
    if (person === world.owner) devices.push(el('device', { id: String(world.account.device), 'key-index': keyIndex }));
    parts.push(el('devices', {}, [el('device-list', {}, devices)]));
  }
  if (wanted.has('lid') && person && !jid.endsWith('@lid')) parts.push(el('lid', { val: person.lid }));
  if (wanted.has('contact')) parts.push(el('contact', { type: person ? 'in' : 'out' }));
  return el('user', { jid }, parts);
}

function usyncAnswer(world: World, iq: BinaryNode): BinaryNode[] {
  const usync = childOf(iq, 'usync');
  const wanted = new Set(childrenOf(childOf(usync, 'query')).map((protocol) => protocol.tag));
  const users = childrenOf(childOf(usync, 'list'), 'user').map((user) => usyncUser(world, user, wanted));
  return [el('usync', usync?.attrs, [el('list', {}, users)])];
}

function groupAnswer(world: World, iq: BinaryNode): BinaryNode[] {
  if (iq.attrs.type !== 'get') return [];
  world.groupQueries++;
  if (childOf(iq, 'participating')) {
    const mine = world.groups.filter((group) => group.hasAccount);
    return [
      el(
        'groups',
        {},
        mine.map((group) => groupNode(world, group)),
      ),
    ];
  }
  const group = world.groups.find((one) => one.id === iq.attrs.to);
  if (!group) return iqError(404, 'item-not-found');
  return group.hasAccount ? [groupNode(world, group)] : iqError(403, 'forbidden');
}

function tokenAnswer(iq: BinaryNode): BinaryNode[] {
  const asked = childrenOf(childOf(iq, 'tokens'), 'token');
  const tokens = asked.map((token) => el('token', { ...token.attrs, type: 'trusted_contact' }, Buffer.from('token')));
  return [el('tokens', {}, tokens)];
}

/** The content of the answer; an `<error>` makes it a refusal. What nobody knows gets an empty result. */
async function answer(world: World, iq: BinaryNode, mediaHost: string): Promise<BinaryNode[]> {
  switch (iq.attrs.xmlns) {
    case 'encrypt':
      return encryptAnswer(world, iq);
    case 'usync':
      return usyncAnswer(world, iq);
    case 'w:g2':
      return groupAnswer(world, iq);
    case 'privacy':
      return childOf(iq, 'tokens') ? tokenAnswer(iq) : [el('privacy', {}, [READ_RECEIPTS])];
    case 'w:m':
      return [el('media_conn', { auth: MEDIA_AUTH, ttl: '300' }, [el('host', { hostname: mediaHost })])];
    case 'w:sync:app:state':
      // Nothing was ever changed; a collection left out would make the library ask forever.
      return [el('sync', {}, childrenOf(childOf(iq, 'sync'), 'collection'))];
    case 'abt':
      return [el('props', { hash: 'props-1' })];
    case 'blocklist':
      return [el('list')];
    default:
      return [];
  }
}

/** The answer to one `<iq>`. */
export async function answerIq(world: World, iq: BinaryNode, mediaHost: string): Promise<BinaryNode> {
  const content = await answer(world, iq, mediaHost);
  const type = content[0]?.tag === 'error' ? 'error' : 'result';
  return el('iq', { id: iq.attrs.id, from: iq.attrs.to, type }, content);
}
