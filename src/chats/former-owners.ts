// Who is the owner no more: their direct chats, which were the main group's for that alone, belong to nobody then.
import type { BaseDeps } from '../core/deps.js';
import type { Store } from '../tasks/store.js';
import { cancelRuns } from './cancel.js';

const NO_OWNER = 'whoever this is for is not the owner any more';

interface FormerOwnerDeps extends Pick<BaseDeps, 'clock' | 'log'> {
  store: Store;
  /** Whom the settings name. */
  owner: { channel: string; address: string } | undefined;
}

/** What waits or works there ends, and no notice goes there. Harmless when repeated. */
export function releaseFormerOwners(deps: FormerOwnerDeps): void {
  const { store, owner, log } = deps;
  store.transaction(() => {
    for (const chat of store.groups.chatsOfFormerOwners(owner?.channel ?? null, owner?.address ?? null)) {
      cancelRuns(deps, chat, null);
      store.outbox.endOfChat(chat.id, NO_OWNER);
      store.groups.releaseChat(chat.id);
      log.info({ chatId: chat.id, channel: chat.channel }, 'chat of a former owner left the main group');
    }
  });
}
