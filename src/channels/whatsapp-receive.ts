// Takes in what Baileys reports: each message is committed before the handler returns, because WhatsApp was already told that we have it.
import { jidNormalizedUser, type proto, type WAMessage, type WASocket } from '@whiskeysockets/baileys';
import type { Logger } from '../core/log.js';
import type { ChannelDeps, InboundMessage } from './channel.js';
import type { Contacts } from './whatsapp-contacts.js';
import type { GroupCache } from './whatsapp-groups.js';
import { mapMessage } from './whatsapp-inbound.js';
import type { Account } from './whatsapp-people.js';

const RETRY_MS = 1_000;
/** The phone's clock and findSent may differ. */
const CLOCKS_DIFFER_MS = 60_000;

interface ReceiverOptions {
  /** A message that we sent; undefined when we did not. */
  findSent(id: string): proto.IMessage | undefined;
  groups: GroupCache;
  contacts: Contacts;
  shared: boolean;
  over: AbortSignal;
}

export type Receiver = ReturnType<typeof createReceiver>;

export function createReceiver(deps: ChannelDeps, { findSent, groups, contacts, shared, over }: ReceiverOptions) {
  const { storage, clock, log, assistantName } = deps;
  const unsaved: WAMessage[] = [];
  /** Stored already when the library reports them. */
  const stored = new Set<string>();
  const nameOf = ({ key }: WAMessage): string => [key.remoteJid, key.participant, key.id].join();

  const account = ({ user }: WASocket): Account => ({
    jids: [user?.id, user?.lid].flatMap((jid) => (jid ? [jidNormalizedUser(jid)] : [])),
    assistantName,
    shared,
    nameOf: (address) => deps.nameOf(address) ?? contacts.nameOf(address),
    titleOf: (jid) => groups.get(jid)?.subject,
    sentMessage: findSent,
    numberOf: contacts.numberOf,
  });
  const linkedAt = (): number => Number(storage.get('meta', ['linked-at'])['linked-at'] ?? Number.POSITIVE_INFINITY);

  function takeOne(sock: WASocket, message: WAMessage): void {
    // A stub could not be read yet and comes again under the same id; it may carry a key meanwhile.
    if (!message.message || message.messageStubType || findSent(message.key.id ?? '')) return;
    // What was said before the account was linked is history, not work.
    if (Number(message.messageTimestamp ?? 0) * 1_000 < linkedAt() - CLOCKS_DIFFER_MS) return;
    deps.takeIn(message.key.id ?? '', message, () => {
      const mapped = understood(log, message, account(sock));
      if (!mapped) return;
      const { address, alias } = mapped.sender;
      if (alias !== undefined && mapped.chat.kind === 'direct') deps.onChatMoved(alias, address);
      deps.onMessage(mapped);
    });
  }

  /** Never throws: that would end the process. What cannot be stored now is tried again, in its order; what was stored already is left out. */
  function take(sock: WASocket, messages: WAMessage[]): void {
    const waiting = unsaved.length > 0;
    unsaved.push(...messages.filter((message) => !stored.delete(nameOf(message))));
    while (unsaved[0]) {
      try {
        takeOne(sock, unsaved[0]);
        unsaved.shift();
      } catch (error) {
        log.error({ error: error instanceof Error ? error.message : 'unknown' }, 'whatsapp message not stored yet');
        if (waiting && messages.length > 0) return;
        void clock.sleep(RETRY_MS, over).then(() => over.aborted || take(sock, []));
        return;
      }
    }
  }

  return {
    /** Stores one message; throws when that is not possible now. */
    commit(sock: WASocket, message: WAMessage): void {
      takeOne(sock, message);
      stored.add(nameOf(message));
    },
    take,
    /** Remembers when the account was linked. */
    linked(): void {
      if (linkedAt() === Number.POSITIVE_INFINITY)
        storage.set([{ kind: 'meta', id: 'linked-at', value: String(clock.now()) }]);
    },
  };
}

/** One that we cannot read must neither come again and again nor be lost without a word. */
function understood(log: Logger, message: WAMessage, reader: Account): InboundMessage | undefined {
  for (const version of [message, { ...message, message: { conversation: '[a message that I could not read]' } }])
    try {
      return mapMessage(version, reader);
    } catch (error) {
      log.error({ error: error instanceof Error ? error.name : 'unknown' }, 'whatsapp message not understood');
    }
  return undefined;
}
