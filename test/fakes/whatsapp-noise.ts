// The server's half of WhatsApp's encrypted transport: Noise_XX_25519_AESGCM_SHA256 and the certificate chain that goes
// with it. Knows nothing about stanzas.
import { hkdfSync } from 'node:crypto';
import {
  aesDecryptGCM,
  aesEncryptGCM,
  Curve,
  type KeyPair,
  NOISE_MODE,
  NOISE_WA_HEADER,
  proto,
  sha256,
  WA_CERT_DETAILS,
} from '@whiskeysockets/baileys';

/** Who the server is: its key, and the chain that vouches for it. */
export interface ServerIdentity {
  key: KeyPair;
  chain: Uint8Array;
  /** Makes the library trust WhatsApp's own root again, once the last fake is gone. */
  release(): void;
}

// One root for all fakes of a process: the library knows a single root, and two fakes may run at the same time.
const root = { key: Curve.generateKeyPair(), holders: 0, real: WA_CERT_DETAILS.PUBLIC_KEY };

/** Mints a chain under our own root and makes the library trust that root. */
export function createServerIdentity(): ServerIdentity {
  const [intermediate, leaf] = [Curve.generateKeyPair(), Curve.generateKeyPair()];
  const { Details } = proto.CertChain.NoiseCertificate;
  const sign = (signer: KeyPair, subject: KeyPair, serial: number, issuerSerial: number) => {
    const details = Details.encode({ serial, issuerSerial, key: subject.public }).finish();
    return { details, signature: Curve.sign(signer.private, details) };
  };
  if (root.holders++ === 0) WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(root.key.public);
  return {
    key: leaf,
    chain: proto.CertChain.encode({
      intermediate: sign(root.key, intermediate, 1, WA_CERT_DETAILS.SERIAL),
      leaf: sign(intermediate, leaf, 2, 1),
    }).finish(),
    release() {
      if (--root.holders === 0) WA_CERT_DETAILS.PUBLIC_KEY = root.real;
    },
  };
}

export interface NoiseResponder {
  /** Answers the client's first message. */
  hello(message: Buffer): Uint8Array;
  /** Reads the client's second message; from now on `encrypt` and `decrypt` work. */
  finish(message: Buffer): { staticKey: Buffer; payload: proto.ClientPayload };
  encrypt(plain: Uint8Array): Buffer;
  decrypt(cipher: Buffer): Buffer;
}

const NONE: Buffer = Buffer.alloc(0);

function nonce(counter: number): Buffer {
  const iv = Buffer.alloc(12);
  iv.writeUInt32BE(counter, 8);
  return iv;
}

function expand(material: Uint8Array, salt: Uint8Array): [Buffer, Buffer] {
  const both = Buffer.from(hkdfSync('sha256', material, salt, '', 64));
  return [both.subarray(0, 32), both.subarray(32)];
}

/** The symmetric state of a handshake (Noise, section 5.2). */
function createHandshake() {
  const start: Buffer = Buffer.from(NOISE_MODE);
  const state = { hash: start, chaining: start, key: start, counter: 0 };
  const mixHash = (bytes: Uint8Array) => {
    state.hash = sha256(Buffer.concat([state.hash, bytes]));
  };
  return {
    mixHash,
    mixKey(shared: Uint8Array) {
      [state.chaining, state.key] = expand(shared, state.chaining);
      state.counter = 0;
    },
    encrypt(plain: Uint8Array): Buffer {
      const cipher = aesEncryptGCM(plain, state.key, nonce(state.counter++), state.hash);
      mixHash(cipher);
      return cipher;
    },
    decrypt(cipher: Uint8Array): Buffer {
      const plain = aesDecryptGCM(cipher, state.key, nonce(state.counter++), state.hash);
      mixHash(cipher);
      return plain;
    },
    /** The two keys of the transport: client to server, server to client. */
    split: () => expand(NONE, state.chaining),
  };
}

/** One per connection. Throws when the client's messages do not fit. */
export function createNoiseResponder(identity: ServerIdentity): NoiseResponder {
  const handshake = createHandshake();
  const ephemeral = Curve.generateKeyPair();
  const transport = { fromClient: NONE, toClient: NONE, received: 0, sent: 0 };
  handshake.mixHash(NOISE_WA_HEADER);
  return {
    hello(message) {
      const theirs = proto.HandshakeMessage.decode(message).clientHello?.ephemeral;
      if (!theirs) throw new Error('the first message holds no clientHello');
      handshake.mixHash(theirs);
      handshake.mixHash(ephemeral.public);
      handshake.mixKey(Curve.sharedKey(ephemeral.private, theirs));
      const staticKey = handshake.encrypt(identity.key.public);
      handshake.mixKey(Curve.sharedKey(identity.key.private, theirs));
      const payload = handshake.encrypt(identity.chain);
      const serverHello = { ephemeral: ephemeral.public, static: staticKey, payload };
      return proto.HandshakeMessage.encode({ serverHello }).finish();
    },
    finish(message) {
      const finish = proto.HandshakeMessage.decode(message).clientFinish;
      if (!finish?.static || !finish.payload) throw new Error('the second message holds no clientFinish');
      const staticKey = handshake.decrypt(finish.static);
      handshake.mixKey(Curve.sharedKey(ephemeral.private, staticKey));
      const payload = proto.ClientPayload.decode(handshake.decrypt(finish.payload));
      [transport.fromClient, transport.toClient] = handshake.split();
      return { staticKey, payload };
    },
    encrypt: (plain) => aesEncryptGCM(plain, transport.toClient, nonce(transport.sent++), NONE),
    decrypt: (cipher) => aesDecryptGCM(cipher, transport.fromClient, nonce(transport.received++), NONE),
  };
}
