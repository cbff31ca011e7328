import { expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createOutage } from './outage.js';

const down = { server: 'api.example.com', why: 'ECONNREFUSED' };
const fine = { server: 'api.example.com', why: undefined };

function setUp() {
  const clock = createFakeClock();
  const told: [number, string][] = [];
  const outage = createOutage({ clock, tellRun: (runId, _key, text) => told.push([runId, text]) });
  return { clock, outage, told };
}

test('after a minute each run that waits is told once, and once more when there is an answer', async () => {
  const { clock, outage, told } = setUp();
  outage.note({ runId: 1, ...down });
  await clock.advance(30_000);
  outage.note({ runId: 1, ...down });
  expect(told).toEqual([]);
  await clock.advance(31_000);
  for (const runId of [1, 1, 2, null]) outage.note({ runId, ...down });
  const text = 'I cannot reach the model at api.example.com (ECONNREFUSED). I keep trying.';
  expect(told.splice(0)).toEqual([
    [1, text],
    [2, text],
  ]);
  outage.note({ runId: 3, ...fine });
  outage.note({ runId: 1, ...fine });
  expect(told.map(([runId]) => runId)).toEqual([1, 2]);
  expect(outage.since()).toBeUndefined();
});

test('an answer in between begins a new minute', async () => {
  const { clock, outage, told } = setUp();
  outage.note({ runId: 1, ...down });
  await clock.advance(50_000);
  outage.note({ runId: 2, ...fine });
  outage.note({ runId: 1, ...down });
  await clock.advance(50_000);
  outage.note({ runId: 1, ...down });
  expect(told).toEqual([]);
});
