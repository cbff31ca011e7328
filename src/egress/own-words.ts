// The owner's own words: hosts in URLs that somebody who may ask typed. Pure.
import type { StoredMessage } from '../core/types.js';
import { type Authority, parseAuthority } from './host.js';

/**
 * The part of a URL that names the host, up to what ends a word, a sentence or a bracket in a chat. The path is taken along: a second URL in
 * it, as in links that count or redirect, is nothing that somebody chose.
 */
const URLS = /(?<![\p{L}\p{N}])https?:\/\/([^\s/?#\\<>"'`()[\]{}|,;!*]+)([/?#\\][^\s<>"'`)\]}]*)?/giu;

/**
 * Not what was forwarded, not what stood on a button that somebody pressed, and not quotes, which are a field of their own. Old rows without a role do not count: nobody knows any more who spoke.
 */
export const isOwnWord = ({ direction, role, mayAsk, forwarded, outboxId }: StoredMessage): boolean =>
  direction === 'in' && role !== null && mayAsk && !forwarded && outboxId === null;

/** A URL with a user name in it shows another host than it goes to, so it names none. */
export const hostsTyped = (text: string): Authority[] =>
  [...text.matchAll(URLS)].flatMap(([, authority = '']) => parseAuthority(authority.replace(/[.:]+$/, '')) ?? []);
