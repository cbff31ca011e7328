// Stores a message inside the transaction that uses up its keys: when the server hears that we have it, we have it, and a process that is
// killed before gets it again. The library would tell the server first and hand the message over some 100 ms later.
import {
  type AuthenticationCreds,
  type BinaryNode,
  DEFAULT_CONNECTION_CONFIG,
  decodeMessageNode,
  proto,
  type SocketConfig,
  unpadRandomMax16,
  type WAMessage,
  type WASocket,
} from '@whiskeysockets/baileys';
import type { ChannelDeps } from './channel.js';

/** Chats that are none: status updates and channels. */
export const isIgnored = (jid: string): boolean => /@(broadcast|newsletter)$/.test(jid);

type Repository = SocketConfig['makeSignalRepository'];

/** What a message without anything in it is before it is encrypted. */
const EMPTY = Uint8Array.of(1);

interface CommitterDeps {
  creds: AuthenticationCreds;
  takeIn: ChannelDeps['takeIn'];
  /** Stores the message before it returns; when it throws, nothing is confirmed and no key is used up. */
  commit(message: WAMessage): void;
}

export function createCommitter({ creds, commit, takeIn }: CommitterDeps) {
  /** The stanza that a ciphertext came in. */
  const stanzas = new WeakMap<Uint8Array, BinaryNode>();
  /** False when it is set aside. */
  const commitContent = (stanza: BinaryNode, content: Uint8Array): boolean =>
    takeIn(stanza.attrs.id ?? '', content, () => {
      const { fullMessage } = decodeMessageNode(stanza, creds.me?.id ?? '', creds.me?.lid ?? '');
      const message = proto.Message.decode(content);
      commit({ ...fullMessage, message: message.deviceSentMessage?.message ?? message });
    });
  function committed(ciphertext: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const stanza = stanzas.get(ciphertext);
    // The library must not read what is set aside either.
    return !stanza || commitContent(stanza, unpadRandomMax16(plaintext)) ? plaintext : EMPTY;
  }
  const makeSignalRepository: Repository = (auth, ...more) => {
    const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, ...more);
    const { keys } = auth;
    const together = (lock: string, work: () => Promise<Uint8Array>) =>
      'transaction' in keys ? keys.transaction(work, lock) : work();
    return {
      ...repository,
      decryptMessage: (what) =>
        together(what.jid, async () => committed(what.ciphertext, await repository.decryptMessage(what))),
      decryptGroupMessage: (what) =>
        together(what.group, async () => committed(what.msg, await repository.decryptGroupMessage(what))),
    };
  };
  /** Nothing is decrypted here: the library confirms it after its first await, so it is stored while it is announced. */
  function commitPlain(stanza: BinaryNode, content: Uint8Array): void {
    try {
      commitContent(stanza, content);
    } catch {
      // `commit` ended the connection: it is not confirmed, and comes again.
    }
  }
  return {
    makeSignalRepository,
    watch(sock: WASocket): void {
      sock.ws.on('CB:message', ({ tag, attrs, content }: BinaryNode) => {
        for (const part of Array.isArray(content) ? content : []) {
          if (!(part.content instanceof Uint8Array)) continue;
          if (part.tag !== 'plaintext') stanzas.set(part.content, { tag, attrs });
          else if (!isIgnored(attrs.from ?? '')) commitPlain({ tag, attrs }, part.content);
        }
      });
    },
  };
}
