// The same key again and again, each time with a large file.
import { call, count, main, many, sleep } from './lib.mjs';

main(async ({ times, bytes, runId, fresh = false }) => {
  const body = Buffer.alloc(bytes, 'x').toString();
  const send = (index) => {
    const spec = { runId, key: fresh ? `k${index}` : 'same', path: 'a.bin', caption: '' };
    return call('POST', `/file?${new URLSearchParams({ spec: JSON.stringify(spec) })}`, body, {
      'content-length': bytes,
    });
  };
  const first = await send(0);
  await sleep(1_000);
  const answers = await many(times, 2, send);
  return { first: first.status, ...count(answers.map(({ status }) => status)) };
});
