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

type Repository = SocketConfig['makeSignalRepository'];

/** `commit` stores the message before it returns; when it throws, nothing is confirmed and no key is used up. */
export function createCommitter(creds: AuthenticationCreds, commit: (message: WAMessage) => void) {
  /** The stanza that a ciphertext came in. */
  const stanzas = new WeakMap<Uint8Array, BinaryNode>();
  function committed(ciphertext: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const stanza = stanzas.get(ciphertext);
    if (!stanza) return plaintext;
    const { fullMessage } = decodeMessageNode(stanza, creds.me?.id ?? '', creds.me?.lid ?? '');
    const message = proto.Message.decode(unpadRandomMax16(plaintext));
    commit({ ...fullMessage, message: message.deviceSentMessage?.message ?? message });
    return plaintext;
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
  return {
    makeSignalRepository,
    watch(sock: WASocket): void {
      sock.ws.on('CB:message', ({ tag, attrs, content }: BinaryNode) => {
        const parts = Array.isArray(content) ? content.map((part) => part.content) : [];
        for (const part of parts) if (part instanceof Uint8Array) stanzas.set(part, { tag, attrs });
      });
    },
  };
}
