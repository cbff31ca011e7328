// The Signal half of a phone: keys, sessions with the linked device, encryption of chats and groups, done by the library's
// own Signal code. Knows nothing about stanzas but the key bundle.
import {
  type AuthenticationCreds,
  addTransactionCapability,
  Curve,
  DEFAULT_CONNECTION_CONFIG,
  encodeBigEndian,
  encodeWAMessage,
  generateSignalPubKey,
  initAuthCreds,
  proto,
  unpadRandomMax16,
  xmppPreKey,
  xmppSignedPreKey,
} from '@whiskeysockets/baileys';
import { createMemoryKeys, silentLogger } from './whatsapp-keys.js';
import { type BinaryNode, el } from './whatsapp-node.js';

/** What the server keeps of a device so that others can write to it. */
export interface DeviceKeys {
  /** Its address for Signal, e.g. `1000:7@lid`. */
  address: string;
  registrationId: number;
  identity: Uint8Array;
  signedPreKey: { keyId: number; publicKey: Uint8Array; signature: Uint8Array };
  /** Used up one by one, as on the real server. */
  preKeys: { keyId: number; publicKey: Uint8Array }[];
}

export interface Encrypted {
  type: 'pkmsg' | 'msg' | 'skmsg';
  ciphertext: Uint8Array;
}

export interface SignalPeer {
  creds: AuthenticationCreds;
  /** The children of `<user>` in an answer to a key query; each holds a new one-time key. */
  bundle(): Promise<BinaryNode[]>;
  /** `afresh` starts a new session although there is one. */
  encrypt(to: DeviceKeys, message: proto.IMessage, afresh?: boolean): Promise<Encrypted>;
  /** Two parts the first time: what the device needs to read this sender in the group comes first. */
  encryptForGroup(group: string, me: string, to: DeviceKeys, message: proto.IMessage): Promise<Encrypted[]>;
  /** Throws when it cannot be read. */
  decrypt(from: string, type: string, ciphertext: Uint8Array, group: string | undefined): Promise<proto.IMessage>;
  /** Loses every session and key but its identity: the next message cannot be read. */
  forget(): Promise<void>;
  close(): void;
}

type Repository = ReturnType<typeof DEFAULT_CONNECTION_CONFIG.makeSignalRepository>;

async function openSession(repository: Repository, to: DeviceKeys): Promise<void> {
  const preKey = to.preKeys.shift();
  const { signedPreKey, registrationId } = to;
  const session = {
    registrationId,
    identityKey: generateSignalPubKey(to.identity),
    signedPreKey: { ...signedPreKey, publicKey: generateSignalPubKey(signedPreKey.publicKey) },
    ...(preKey ? { preKey: { ...preKey, publicKey: generateSignalPubKey(preKey.publicKey) } } : {}),
  };
  await repository.injectE2ESession({ jid: to.address, session });
}

async function decipher(
  repository: Repository,
  from: string,
  type: string,
  msg: Uint8Array,
  group: string | undefined,
): Promise<Uint8Array> {
  if (type === 'pkmsg' || type === 'msg') return repository.decryptMessage({ jid: from, type, ciphertext: msg });
  if (type === 'skmsg' && group) return repository.decryptGroupMessage({ group, authorJid: from, msg });
  throw new Error(`no way to read a message of type ${type}`);
}

/** Somebody with keys of their own. */
export function createSignalPeer(): SignalPeer {
  const creds = initAuthCreds();
  const store = createMemoryKeys();
  const keys = addTransactionCapability(store, silentLogger, { maxCommitRetries: 1, delayBetweenTriesMs: 1 });
  const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds, keys }, silentLogger, async () => []);
  /** Which device can read us in which group already. */
  const introduced = new Set<string>();
  let nextPreKey = 1;

  async function encrypt(to: DeviceKeys, message: proto.IMessage, afresh = false): Promise<Encrypted> {
    const session = await repository.validateSession(to.address);
    if (afresh || !session.exists) await openSession(repository, to);
    return repository.encryptMessage({ jid: to.address, data: encodeWAMessage(message) });
  }

  return {
    creds,
    async bundle() {
      const id = nextPreKey++;
      const pair = Curve.generateKeyPair();
      await keys.set({ 'pre-key': { [id]: pair } });
      return [
        el('registration', {}, encodeBigEndian(creds.registrationId)),
        el('identity', {}, creds.signedIdentityKey.public),
        xmppSignedPreKey(creds.signedPreKey),
        xmppPreKey(pair, id),
      ];
    },
    encrypt,
    async encryptForGroup(group, me, to, message) {
      const data = encodeWAMessage(message);
      const { ciphertext, senderKeyDistributionMessage } = await repository.encryptGroupMessage({
        group,
        meId: me,
        data,
      });
      const body: Encrypted = { type: 'skmsg', ciphertext };
      if (introduced.has(`${group} ${to.address}`)) return [body];
      introduced.add(`${group} ${to.address}`);
      const item = { groupId: group, axolotlSenderKeyDistributionMessage: senderKeyDistributionMessage };
      return [await encrypt(to, { senderKeyDistributionMessage: item }), body];
    },
    async decrypt(from, type, ciphertext, group) {
      const message = proto.Message.decode(unpadRandomMax16(await decipher(repository, from, type, ciphertext, group)));
      const item = message.senderKeyDistributionMessage;
      if (item) await repository.processSenderKeyDistributionMessage({ authorJid: from, item });
      return message;
    },
    async forget() {
      await store.clear?.();
      introduced.clear();
    },
    close: () => repository.close?.(),
  };
}
