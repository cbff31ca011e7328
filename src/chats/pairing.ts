// The one-time code by which a person becomes the owner on a channel: `/pair <code>` in a direct chat.
import { randomInt } from 'node:crypto';
import { sameSecret } from '../core/secrets.js';
import { WEB_CHAT } from '../groups/web-chat.js';
import type { Store } from '../tasks/store.js';

export type Pairing = ReturnType<typeof createPairing>;

/** 32 letters, eight of them: a million million codes. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const HOUR_MS = 3_600_000;
/** Wrong codes in an hour: of one sender, and of all, as accounts cost nothing. */
const TRIES = { ofSender: 5, ofAll: 50 };
/** How many strangers are told in an hour how one becomes the owner. */
const MAX_TOLD = 20;

/** `sender`: their address. */
type PairingTry = Record<'channel' | 'sender' | 'code', string> & { now: number };

/** `owner`: the one that the settings name. */
export function createPairing(store: Store, owner?: { channel: string }) {
  const keyOf = (channel: string) => `pairing:${channel}`;
  const codeOf = (channel: string) => store.settings.get(keyOf(channel));
  let wrong: { from: string; at: number }[] = [];
  let told: number[] = [];
  /** The page's chat is the owner's anyhow. */
  const isOpen = (channel: string) =>
    channel !== WEB_CHAT.channel && owner?.channel !== channel && !store.groups.hasOwner(channel);
  /** The current code of the channel; the same until it is used: no stranger can change what the owner just read. */
  function code(channel: string): string {
    const known = codeOf(channel);
    if (known !== undefined) return known;
    const made = Array.from({ length: 8 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
    store.settings.set(keyOf(channel), made);
    return made;
  }
  return {
    code,
    /** Those of these channels that have no owner yet, with their codes. */
    open: (channels: string[]): { channel: string; code: string }[] =>
      channels.filter(isOpen).map((channel) => ({ channel, code: code(channel) })),
    /** Whether somebody who opens the chat may be told how one becomes the owner: counts as told. */
    mayTellHow(channel: string, now: number): boolean {
      told = told.filter((at) => at > now - HOUR_MS);
      if (!isOpen(channel) || told.length >= MAX_TOLD) return false;
      told.push(now);
      return true;
    },
    /**
     * `paired` when `code` is right; it then stops being valid. `limited`: too many wrong ones came in the last hour, this one was not looked at.
     * A channel whose code nobody asked for cannot be paired.
     */
    redeem({ channel, sender, code: tried, now }: PairingTry): 'paired' | 'wrong' | 'limited' {
      const from = `${channel}:${sender}`;
      wrong = wrong.filter(({ at }) => at > now - HOUR_MS);
      const mine = wrong.filter((one) => one.from === from).length;
      if (mine >= TRIES.ofSender || wrong.length >= TRIES.ofAll) return 'limited';
      const expected = codeOf(channel);
      if (expected !== undefined && sameSecret(tried.toUpperCase(), expected)) {
        store.settings.remove(keyOf(channel));
        return 'paired';
      }
      wrong.push({ from, at: now });
      return 'wrong';
    },
  };
}
