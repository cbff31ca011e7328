// The chat page as a channel. The page itself is the dashboard's; a message counts as delivered once it is a row in
// `messages`, because the page reads its chat from there and misses nothing while it is closed.
import { z } from 'zod';
import { type Channel, ChannelError, defineChannel } from './channel.js';

/** Chat text has no platform limit here; this only keeps one bubble within what a browser lays out quickly. */
const MAX_PART_CHARS = 100_000;

/** On unless PINCH_PORT is `0`. Messages come in through the dashboard (`intake.receiveFromPage`), not through `onMessage`. */
export const web = defineChannel({
  name: 'web',
  env: z.object({ PINCH_PORT: z.string().optional() }),
  create(env, deps): Channel | undefined {
    if (env.PINCH_PORT !== undefined && Number(env.PINCH_PORT) === 0) return undefined;
    return {
      start: () => deps.onState({ state: 'open', detail: '' }),
      async stop() {
        deps.onState({ state: 'stopped', detail: '' });
      },
      split: splitForPage,
      send: async (part) => ({ platformId: part.key }),
      // The page shows "working…" from the run's state, which also survives a reload.
      typing: () => undefined,
      async fetchMedia() {
        throw new ChannelError('permanent', 'the page sends no files');
      },
    };
  },
});

/** One part up to 100,000 characters; longer texts are cut at a line end where there is one, never inside a surrogate pair. */
function splitForPage(text: string): string[] {
  if (text.trim() === '') return [];
  const parts: string[] = [];
  let rest = text;
  while (rest.length > MAX_PART_CHARS) {
    const lineEnd = rest.lastIndexOf('\n', MAX_PART_CHARS - 1) + 1;
    const atLine = lineEnd > MAX_PART_CHARS / 2 ? lineEnd : MAX_PART_CHARS;
    const cut = isHighSurrogate(rest.charCodeAt(atLine - 1)) ? atLine - 1 : atLine;
    parts.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return rest.trim() === '' ? parts : [...parts, rest];
}

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
