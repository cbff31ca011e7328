// Versions as people and programs are shown them.

import { oneLine, shownLine } from '../core/one-line.js';
import { timeText } from '../core/times.js';
import { diffLines } from './diff.js';
import type { Version } from './rows.js';
import type { Store } from './store.js';

export function viewOf({ id, at, runId, bytes, state, sources, secrets, author }: Version) {
  return {
    ...{ id, at, run: runId, size: bytes, by: author },
    ...{ deleted: state === 'deleted', kept: state !== 'left out' },
    ...{ tainted: sources.length > 0, sources },
    secret: secrets.length > 0 ? secrets.join(', ') : null,
  };
}

/** A container chose the name. */
export const shownPath = (path: string): string => `\`${oneLine(path, 120).replaceAll('`', "'")}\``;

export const contentOf = ({ memory }: Store, version: Version | undefined): string =>
  version?.hash ? (memory.content(version.hash) ?? '') : '';

/** What a version changed; '' when nothing that is known. */
export function diffOf(store: Store, before: Version | undefined, after: Version | undefined): string {
  const isUnknown = [before, after].some((one) => one?.state === 'left out');
  return isUnknown
    ? '(what it was is not kept: too large, or no text)'
    : diffLines(contentOf(store, before), contentOf(store, after));
}

/** One line about it: when, by whom, and what is special. */
export function aboutVersion(
  { at, author, runId, restores, state, bytes, sources, secrets }: Version,
  zone: string,
): string {
  const who = {
    run: `run ${runId}`,
    outside: 'changed outside of runs',
    restore: `brought back${restores ? ` from ${restores}` : ''}`,
  };
  const notes = [
    state === 'kept'
      ? `${bytes} bytes`
      : state === 'deleted'
        ? 'deleted'
        : `${bytes} bytes, not kept: too large or no text`,
    ...(sources.length > 0 ? [`written after I was given ${sources.map((one) => shownLine(one, 80)).join('; ')}`] : []),
    ...(secrets.length > 0 ? [`has a secret in it (${secrets.join(', ')})`] : []),
  ];
  return `${timeText(at, zone)}, ${who[author]}: ${notes.join(', ')}`;
}
