// The terms by which a memory file is found (groups/search-words.ts), made a little at a time.
import { setImmediate } from 'node:timers/promises';
import { scoped } from '../groups/search-index.js';
import { termsOf } from '../groups/search-words.js';

/** Some milliseconds of work; then others get their turn. */
const SLICE_CHARS = 4_000;

/** `onSlice` sees the text piece by piece. */
export async function termsIn(groupId: number, text: string, onSlice?: (slice: string) => void): Promise<string> {
  const terms = new Set<string>();
  for (const slice of slicesOf(text)) {
    onSlice?.(slice);
    for (const term of termsOf(slice)) terms.add(scoped(groupId, term));
    await setImmediate();
  }
  return [...terms].join(' ');
}

/** Cut at line ends where there are any, so that no word is. */
function* slicesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const most = from + SLICE_CHARS;
    const end = text.lastIndexOf('\n', most) + 1;
    const to = end > from && most < text.length ? end : most;
    yield text.slice(from, to);
    from = to;
  }
}
