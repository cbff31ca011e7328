// The same key again and again, each time with a large file.
import { call, count, main, many, sleep } from './lib.mjs';

main(async ({ times, bytes, runId, fresh = false }) => {
  const base64 = Buffer.alloc(bytes, 7).toString('base64');
  const send = (index) =>
    call('POST', '/file', { runId, key: fresh ? `k${index}` : 'same', path: 'a.bin', caption: '', base64 });
  const first = await send(0);
  await sleep(1_000);
  const answers = await many(times, 2, send);
  return { first: first.status, ...count(answers.map(({ status }) => status)) };
});
