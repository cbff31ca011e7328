// Fills the timeline with as much as one event can carry.
import { call, count, main, many, sleep } from './lib.mjs';

main(async ({ times, keys, chars, runId, pauseMs = 0 }) => {
  const detail = Object.fromEntries(Array.from({ length: keys }, (_, key) => [`k${key}`, 'x'.repeat(chars)]));
  const answers = await many(times, 4, async () => {
    await sleep(pauseMs);
    return call('POST', `/runs/${runId}/events`, { events: [{ kind: 'note', at: 1, detail }] });
  });
  return count(answers.map(({ status }) => status));
});
