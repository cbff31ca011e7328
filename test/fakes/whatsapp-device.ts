// Making a client a linked device of the account: what the owner's phone signs, and what the server keeps afterwards.
import {
  type AuthenticationCreds,
  Curve,
  generateSignalPubKey,
  initAuthCreds,
  proto,
  WA_ADV_ACCOUNT_SIG_PREFIX,
  WA_ADV_DEVICE_SIG_PREFIX,
} from '@whiskeysockets/baileys';
import { deviceJid, type LinkedDevice, type World } from './whatsapp-state.js';

const KEY_INDEX = 1;
const FIRST_DEVICE = 7;

/** The owner's phone vouches for a device with this identity key. */
export function signDeviceIdentity(world: World, identity: Uint8Array): proto.IADVSignedDeviceIdentity {
  const phone = world.owner.signal.creds.signedIdentityKey;
  const details = proto.ADVDeviceIdentity.encode({
    rawId: 1,
    keyIndex: KEY_INDEX,
    timestamp: Math.floor(Date.now() / 1000),
  }).finish();
  const signed = Buffer.concat([WA_ADV_ACCOUNT_SIG_PREFIX, details, identity]);
  return { details, accountSignatureKey: phone.public, accountSignature: Curve.sign(phone.private, signed) };
}

/** The number the next linked device gets. */
export const nextDevice = ({ account }: World): number => Math.max(FIRST_DEVICE, account.device + 1);

/** From now on the server knows this device, and no other. */
export function linkDevice(world: World, device: Omit<LinkedDevice, 'address' | 'preKeys'>): void {
  world.account.device = nextDevice(world);
  world.device = { ...device, address: deviceJid(world, 'lid'), preKeys: [] };
  world.mail.length = 0;
  world.waiters.notify();
}

/** Links a device that never paired, and gives what it would have stored: the way past pairing for a test. */
export function createLinkedCreds(world: World): AuthenticationCreds {
  const creds = initAuthCreds();
  const { signedIdentityKey: identity, signedPreKey, noiseKey, registrationId } = creds;
  linkDevice(world, {
    noiseKey: Buffer.from(noiseKey.public),
    registrationId,
    awaitsHistory: false,
    identity: identity.public,
    signedPreKey: {
      keyId: signedPreKey.keyId,
      publicKey: signedPreKey.keyPair.public,
      signature: signedPreKey.signature,
    },
  });
  const account = signDeviceIdentity(world, identity.public);
  const { details, accountSignatureKey } = account;
  if (!details || !accountSignatureKey) throw new Error('the phone signed nothing');
  const claim = Buffer.concat([WA_ADV_DEVICE_SIG_PREFIX, details, identity.public, accountSignatureKey]);
  return {
    ...creds,
    me: { id: deviceJid(world, 'pn'), lid: deviceJid(world, 'lid'), name: world.account.name },
    account: { ...account, deviceSignature: Curve.sign(identity.private, claim) },
    signalIdentities: [
      {
        identifier: { name: deviceJid(world, 'lid'), deviceId: 0 },
        identifierKey: generateSignalPubKey(accountSignatureKey),
      },
    ],
    platform: 'android',
    registered: true,
    // A device that saw its first history already; otherwise the library holds messages back for up to 20 s.
    accountSyncCounter: 1,
  };
}

/** The account's key list as `<device>` entries need it. */
export const keyIndex = String(KEY_INDEX);
