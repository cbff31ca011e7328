// Two programs in a container that read without end through the door starve nothing else on the same pipe: not the host's calls, not the
// model's, not the stop.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EndlessSite, startEndlessSite } from '../../src/egress/testing/sites.js';
import { whenBusy } from '../limits.js';
import { eventually } from './harness.js';
import { bash, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

let scene: Scene;
let site: EndlessSite;

beforeAll(async () => {
  site = await startEndlessSite();
  scene = await startScene();
  await scene.daemon.api('POST', '/api/egress', { host: 'site.example', ports: [site.port], address: '127.0.0.1' });
});
afterAll(async () => {
  await scene.close();
  site.close();
});

const CALLS = 31;
/** Prints how long each call of the host takes, ms. */
const measure = `
const call = () => fetch('http://127.0.0.1:' + (process.env.PINCH_PORT ?? 8080) + '/tasks/list', {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ runId: Number(process.env.PINCH_RUN) }),
});
(async () => {
  for (let n = 0; n < ${CALLS}; n++) {
    const at = performance.now();
    const answer = await call();
    await answer.text();
    if (answer.status !== 200) throw new Error(answer.status);
    console.log(performance.now() - at);
  }
})();`;

test('host calls, model calls and /stop go through beside endless downloads', async () => {
  const workspace = join(scene.daemon.home, 'groups/main');
  const url = `http://site.example:${site.port}/`;
  scene.model.push(
    bash(`curl -s ${url} -o /dev/null & curl -s ${url} -o /dev/null; wait`, { background: true }),
    bash('until [ -e measure.cjs ]; do sleep 0.05; done; node measure.cjs >times.txt 2>&1'),
    bash('sleep 600', { timeout_ms: 600_000 }),
  );
  const runId = await say(scene.daemon, 'go');
  await eventually(() => site.counts.downloads === 2, 'both downloads are under way');
  const [bytesBefore, startedAt] = [site.counts.bytes, Date.now()];
  writeFileSync(join(workspace, 'measure.cjs'), measure);
  const toolTimes = async (kind: string) => {
    const { events } = await runOf(scene.daemon, runId);
    return events.flatMap((event) => (event.kind === kind ? [event.at] : []));
  };
  const started = await eventually(async () => (await toolTimes('tool_started'))[2], 'the third tool works');
  const rate = (site.counts.bytes - bytesBefore) / 2 ** 20 / ((Date.now() - startedAt) / 1_000);
  const times = readFileSync(join(workspace, 'times.txt'), 'utf8').trim().split('\n').map(Number);
  times.sort((a, b) => a - b);
  const median = times[Math.floor(CALLS / 2)] ?? Number.NaN;
  const asked = scene.model.requests[2]?.at ?? 0;
  const [upMs, downMs] = [asked - ((await toolTimes('tool_finished'))[1] ?? 0), started - asked];
  expect(site.counts.downloads).toBe(2);
  const stoppedAt = Date.now();
  await scene.daemon.api('POST', '/api/chat', { text: '/stop' });
  await waitForRun(scene.daemon, runId, ['cancelled']);
  const stopMs = Date.now() - stoppedAt;
  console.info(
    `beside ${rate.toFixed(0)} MB/s: host call ${median.toFixed(1)} ms (longest ${times.at(-1)?.toFixed(0)}), model call ${upMs} ms up and ${downMs} ms down, /stop ${stopMs} ms`,
  );
  expect(times).toHaveLength(CALLS);
  expect(median).toBeLessThan(whenBusy(250));
  expect(Math.max(upMs, downMs)).toBeLessThan(whenBusy(1_000));
  expect(stopMs).toBeLessThan(whenBusy(2_000));
});
