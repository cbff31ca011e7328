// Everything at once, for so long: large bodies, files, messages, events, searches, tasks, and a folder filled past its quota.
import { appendFileSync } from 'node:fs';
import { call, connection, count, main, sleep } from './lib.mjs';

const KINDS = ['file', 'tasks'];
/** On a machine that is busy it goes on until these were refused. */
const ENOUGH_MS = 60_000;
const JSON_TYPE = { 'content-type': 'application/json' };

main(async ({ runId, ms, fillBytes }) => {
  const statuses = {};
  const post = (path, body) => call('POST', path, body, JSON_TYPE);
  const file = (key) =>
    call(
      'POST',
      `/file?${new URLSearchParams({ spec: JSON.stringify({ runId, key: `f${key}`, path: 'x.bin', caption: '' }) })}`,
      'x'.repeat(500_000),
    );
  const events = Array.from({ length: 100 }, () => ({ kind: 'note', at: 1, detail: { text: 'flood' } }));
  const chunk = Buffer.alloc(1024 * 1024, 7);
  for (let left = fillBytes; left > 0; left -= chunk.length) appendFileSync('/workspace/fill', chunk);
  // First: they keep its own small calls from the link as well.
  const streams = await Promise.all(Array.from({ length: 64 }, () => streamFor(Date.now() + ms / 3)));
  const end = Date.now() + (ms * 2) / 3;
  const isRefusedAll = () =>
    KINDS.every((kind) => Object.keys(statuses[kind] ?? {}).some((answer) => answer !== '200'));
  /** The same kind of call again and again, `atOnce` at a time. */
  const endless = (name, atOnce, ask) =>
    Promise.all(
      Array.from({ length: atOnce }, async (_, lane) => {
        for (let n = 0; Date.now() < end || (!isRefusedAll() && Date.now() < end + ENOUGH_MS); n += 1) {
          const { status, text } = await ask(`${lane}-${n}`);
          const kind = status === 200 ? 200 : `${status} ${/"message":"(.{0,40})/.exec(text)?.[1]}`;
          statuses[name] = { ...statuses[name], [kind]: (statuses[name]?.[kind] ?? 0) + 1 };
        }
      }),
    );
  await Promise.all([
    endless('file', 2, file),
    endless('send', 6, (key) => post('/send', { runId, key: `s${key}`, text: '**flood** '.repeat(200) })),
    endless('events', 2, () => post(`/runs/${runId}/events`, { events })),
    endless('history', 6, () => post('/history', { query: 'th th th', limit: 50 })),
    endless('tasks', 6, (key) => post('/tasks', { runId, key: `t${key}`, prompt: 'flood', every: '1s' })),
  ]);
  return { ...statuses, streams: count(streams) };
});

/** Bodies of 32 MiB on one connection after the other; resolves with the last status. */
async function streamFor(end) {
  const chunk = Buffer.alloc(256 * 1024, 'x');
  let last = 'none';
  while (Date.now() < end) {
    const socket = connection((data) => {
      last = String(data).slice(9, 12);
    });
    const size = 32 * 1024 * 1024;
    socket.write(
      `POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${size}\r\n\r\n`,
    );
    for (let sent = 0; sent < size && !socket.destroyed && Date.now() < end; sent += chunk.length)
      if (!socket.write(chunk)) await Promise.race([new Promise((go) => socket.once('drain', go)), sleep(1_000)]);
    socket.destroy();
    await sleep(50);
  }
  return last;
}
