// The chat page as a channel. The page itself is in page/; a message counts as delivered once it is a row in
// `messages`, because the page reads its chat from there and misses nothing while it is closed.
import { z } from 'zod';
import { splitMarkdown } from '../markdown/split.js';
import { type Channel, defineChannel } from './channel.js';
import { createWebFiles } from './web-files.js';

/** Chat text has no platform limit here; this only keeps one bubble within what a browser lays out quickly. */
const MAX_PART_CHARS = 100_000;

/** On unless PINCH_PORT is `0`. Messages come in through the page (`intake.receiveFromPage`), not through `onMessage`. */
export const web = defineChannel({
  name: 'web',
  env: z.object({ PINCH_PORT: z.string().optional() }),
  create(env, deps): Channel | undefined {
    if (env.PINCH_PORT !== undefined && Number(env.PINCH_PORT) === 0) return undefined;
    const files = createWebFiles(deps.folder);
    return {
      start: () => deps.onState({ state: 'open', detail: '' }),
      async stop() {
        deps.onState({ state: 'stopped', detail: '' });
      },
      split: (text) => splitMarkdown(text, { limit: MAX_PART_CHARS, measure: (part) => part.length }),
      async send({ key, file }) {
        // The outbox drops its own copy once the message is a row.
        if (file) await files.keepSent(Number.parseInt(key, 10), file.path);
        return { platformId: key };
      },
      kindOf: () => 'direct',
      // The page shows "working…" from the run's state, which also survives a reload.
      typing: () => undefined,
      fetchMedia: files.read,
    };
  },
});
