// The one-time code by which a person becomes the owner on a channel: `/pair <code>` in a direct chat.
import { randomInt } from 'node:crypto';
import { sameSecret } from './same-secret.js';
import type { Store } from './store/index.js';

export type Pairing = ReturnType<typeof createPairing>;

const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const WRONG_TRIES = 5;

export function createPairing(store: Store) {
  const keyOf = (channel: string) => `pairing:${channel}`;
  const renew = (channel: string): string => {
    const code = Array.from({ length: 8 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
    store.settings.set(keyOf(channel), `${code}:0`);
    return code;
  };
  return {
    /** The current code of the channel; the same until it is used or guessed at five times. */
    code: (channel: string): string => store.settings.get(keyOf(channel))?.split(':')[0] ?? renew(channel),
    /** True when `code` is right; it then stops being valid. A channel whose code nobody asked for cannot be paired. */
    redeem(channel: string, code: string): boolean {
      const [expected = '', wrong = '0'] = store.settings.get(keyOf(channel))?.split(':') ?? [];
      if (expected === '') return false;
      if (sameSecret(code.toUpperCase(), expected)) {
        store.settings.remove(keyOf(channel));
        return true;
      }
      if (Number(wrong) + 1 >= WRONG_TRIES) renew(channel);
      else store.settings.set(keyOf(channel), `${expected}:${Number(wrong) + 1}`);
      return false;
    },
  };
}
