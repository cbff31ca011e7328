// Linking a new device, by QR code and by pairing code: the server's part and that of the owner's phone.
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import {
  aesDecryptCTR,
  aesDecryptGCM,
  aesEncryptCTR,
  Curve,
  derivePairingCodeKey,
  type KeyPair,
  proto,
} from '@whiskeysockets/baileys';
import { HANG_MS } from '../limits.js';
import { linkDevice, nextDevice, signDeviceIdentity } from './whatsapp-device.js';
import { type BinaryNode, bytesAt, childOf, el, nowSeconds, SERVER, userOf } from './whatsapp-node.js';
import { deviceJid, newMessageId, type Session, type World } from './whatsapp-state.js';

const REFS = 6;

/** What a client that asks for a pairing code sent along. */
interface CodeRequest {
  ref: string;
  /** Its public key, encrypted with the code: salt, IV, ciphertext. */
  wrappedKey: Buffer;
  /** Made when the code is typed. */
  phoneKey: KeyPair | undefined;
  clientKey: Buffer | undefined;
  /** Why it came to nothing. */
  failure: Error | undefined;
}

/** The state of a connection that wants to be linked. */
export interface Pairing {
  client: proto.ClientPayload.IDevicePairingRegistrationData;
  refs: string[];
  code: CodeRequest | undefined;
}

/** Gives the client what it shows as QR codes, one after the other. */
export function startPairing(session: Session, client: Pairing['client']): void {
  const refs = Array.from({ length: REFS }, () => `2@${randomBytes(24).toString('base64')}`);
  session.pairing = { client, refs, code: undefined };
  const content = [
    el(
      'pair-device',
      {},
      refs.map((ref) => el('ref', {}, Buffer.from(ref))),
    ),
  ];
  session.link.send(el('iq', { from: SERVER, type: 'set', id: newMessageId() }, content));
}

function required(bytes: Uint8Array | null | undefined): Buffer {
  if (!bytes) throw new Error('the client left out a key');
  return Buffer.from(bytes);
}

/** The phone accepts the device; the client checks the phone's word and signs too. */
function sendPairSuccess(world: World, { link, pairing }: Session, advSecret: Uint8Array): void {
  const identity = required(pairing?.client.eIdent);
  const details = proto.ADVSignedDeviceIdentity.encode(signDeviceIdentity(world, identity)).finish();
  const hmac = createHmac('sha256', advSecret).update(details).digest();
  const number = nextDevice(world);
  const names = { jid: deviceJid(world, 'pn', number), lid: deviceJid(world, 'lid', number) };
  const content = [
    el('device-identity', {}, proto.ADVSignedDeviceIdentityHMAC.encode({ details, hmac }).finish()),
    el('device', names),
    el('platform', { name: 'android' }),
  ];
  const attrs = { from: SERVER, type: 'set', id: newMessageId(), t: nowSeconds() };
  link.send(el('iq', attrs, [el('pair-success', {}, content)]));
}

/** The client signed: it is linked now, and has to connect again. */
function finishPairing(world: World, session: Session): void {
  const client = session.pairing?.client;
  linkDevice(world, {
    noiseKey: session.noiseKey,
    identity: required(client?.eIdent),
    registrationId: required(client?.eRegid).readUInt32BE(),
    signedPreKey: {
      keyId: required(client?.eSkeyId).readUIntBE(0, 3),
      publicKey: required(client?.eSkeyVal),
      signature: required(client?.eSkeySig),
    },
    awaitsHistory: true,
  });
  session.link.send(el('stream:error', { code: '515' }));
  session.link.end();
}

async function untilLinked(world: World, session: Session): Promise<void> {
  const look = () => {
    if (world.device?.noiseKey.equals(session.noiseKey)) return true;
    const failure = session.pairing?.code?.failure;
    if (failure) throw failure;
    if (!world.sessions.has(session)) throw new Error('the client hung up instead of being linked');
    return undefined;
  };
  await world.waiters.until(look, HANG_MS, () => 'the client to be linked');
}

/** The phone scans a code as the library gives it: `…#ref,noise key,identity key,secret,platform`. */
export async function scanQr(world: World, qr: string): Promise<void> {
  const [ref = '', noise = '', , secret = ''] = qr.slice(qr.indexOf('#') + 1).split(',');
  const session = [...world.sessions].find((one) => one.pairing?.refs.includes(ref));
  if (!session || session.noiseKey.toString('base64') !== noise) throw new Error('no client shows this QR code');
  sendPairSuccess(world, session, Buffer.from(secret, 'base64'));
  await untilLinked(world, session);
}

function takeCompanionHello(world: World, { pairing, link }: Session, iq: BinaryNode, hello: BinaryNode): void {
  if (!pairing) return;
  const isOurs = userOf(hello.attrs.jid ?? '') === world.account.phone;
  if (!isOurs) return link.send(el('iq', { id: iq.attrs.id, type: 'error' }, [el('error', { code: '400' })]));
  const wrappedKey = bytesAt(hello, 'link_code_pairing_wrapped_companion_ephemeral_pub');
  const ref = randomBytes(12).toString('base64');
  pairing.code = { ref, wrappedKey, phoneKey: undefined, clientKey: undefined, failure: undefined };
  const answer = el('link_code_companion_reg', {}, [el('link_code_pairing_ref', {}, Buffer.from(ref))]);
  link.send(el('iq', { id: iq.attrs.id, type: 'result', from: SERVER }, [answer]));
}

/** The phone types the code that the client shows. Rejects when the code is wrong, as the phone would say. */
export async function enterCode(world: World, code: string): Promise<void> {
  // The client may show its code before the server knows of it.
  const look = () => [...world.sessions].find((one) => one.pairing?.code);
  const session = await world.waiters.until(look, HANG_MS, () => 'a client to ask for a pairing code');
  const request = session.pairing?.code;
  if (!request) throw new Error('the client asks for no code any more');
  const { wrappedKey } = request;
  const clientSalt = wrappedKey.subarray(0, 32);
  const clientCodeKey = await derivePairingCodeKey(code, clientSalt);
  request.clientKey = aesDecryptCTR(wrappedKey.subarray(48, 80), clientCodeKey, wrappedKey.subarray(32, 48));
  request.phoneKey = Curve.generateKeyPair();
  const [salt, iv] = [randomBytes(32), randomBytes(16)];
  const wrapped = aesEncryptCTR(request.phoneKey.public, await derivePairingCodeKey(code, salt), iv);
  const content = [
    el('link_code_pairing_wrapped_primary_ephemeral_pub', {}, Buffer.concat([salt, iv, wrapped])),
    el('primary_identity_pub', {}, world.owner.signal.creds.signedIdentityKey.public),
    el('link_code_pairing_ref', {}, Buffer.from(request.ref)),
  ];
  const attrs = { from: SERVER, type: 'link_code_companion_reg', id: newMessageId(), t: nowSeconds() };
  const hello = el('link_code_companion_reg', { stage: 'primary_hello' }, content);
  session.link.send(el('notification', attrs, [hello]));
  await untilLinked(world, session);
}

/** The client proves that it knows the code; both sides now share the secret that a QR code would have carried. */
function sharedSecret(world: World, request: CodeRequest, finish: BinaryNode): Uint8Array {
  const { phoneKey, clientKey } = request;
  if (!phoneKey || !clientKey) throw new Error('nobody typed a code');
  const phone = world.owner.signal.creds.signedIdentityKey;
  const shared = Curve.sharedKey(phoneKey.private, clientKey);
  const bundle = bytesAt(finish, 'link_code_pairing_wrapped_key_bundle');
  const info = 'link_code_pairing_key_bundle_encryption_key';
  const key = Buffer.from(hkdfSync('sha256', shared, bundle.subarray(0, 32), info, 32));
  const plain = aesDecryptGCM(bundle.subarray(44), key, bundle.subarray(32, 44), Buffer.alloc(0));
  const [identity, random] = [plain.subarray(0, 32), plain.subarray(64, 96)];
  const material = Buffer.concat([shared, Curve.sharedKey(phone.private, identity), random]);
  return Buffer.from(hkdfSync('sha256', material, '', 'adv_secret', 32));
}

function takeCompanionFinish(world: World, session: Session, iq: BinaryNode, finish: BinaryNode): void {
  const request = session.pairing?.code;
  if (!request) return;
  session.link.send(el('iq', { id: iq.attrs.id, type: 'result', from: SERVER }));
  try {
    sendPairSuccess(world, session, sharedSecret(world, request, finish));
  } catch (cause) {
    // With another code both sides derived different keys.
    request.failure = new Error('the pairing code is wrong', { cause });
  }
}

/** One iq of a client that is not linked. */
export function takePairingIq(world: World, session: Session, iq: BinaryNode): void {
  if (childOf(iq, 'pair-device-sign')) return finishPairing(world, session);
  const registration = childOf(iq, 'link_code_companion_reg');
  if (registration?.attrs.stage === 'companion_hello') takeCompanionHello(world, session, iq, registration);
  if (registration?.attrs.stage === 'companion_finish') takeCompanionFinish(world, session, iq, registration);
  world.waiters.notify();
}
