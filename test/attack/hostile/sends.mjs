// Messages without end, each as long as may be, and each dear to format.
import { call, count, main } from './lib.mjs';

const TEXTS = ['<b>&', '**', '> ', '[[', '|a', '`', '~~x', '![](', '&amp;', '_a_ '];

main(async ({ runId, times, length }) => {
  const statuses = [];
  for (let at = 0; at < times; at += 1) {
    const text = TEXTS[at % TEXTS.length].repeat(length).slice(0, length);
    const { status } = await call(
      'POST',
      '/send',
      { runId, key: `flood-${at}`, text },
      { 'content-type': 'application/json' },
    );
    statuses.push(status);
  }
  return count(statuses);
});
