// Whether two secrets are the same.
import { createHash, timingSafeEqual } from 'node:crypto';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** In a time that says nothing about where two strings differ, nor about their lengths. */
export const sameSecret = (given: string | undefined, wanted: string) =>
  timingSafeEqual(digest(given ?? ''), digest(wanted));
