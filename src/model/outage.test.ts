import { expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createOutage } from './outage.js';

const server = 'api.example.com';
const down = { server, why: 'it refuses the connection (ECONNREFUSED)' };
const fine = { server, why: undefined };
const TEXT =
  'I get no answer from the model at api.example.com: it refuses the connection (ECONNREFUSED). I keep trying.';

function setUp() {
  const clock = createFakeClock();
  const told: [number | 'all', string][] = [];
  const outage = createOutage({
    clock,
    tell: (runId, text) => told.push([runId, text]),
    over: (text) => told.push(['all', text]),
    onChange: () => undefined,
  });
  outage.note({ runId: null, ...fine });
  told.length = 0;
  return { clock, outage, told };
}

test('after a minute each run that waits is told, and all once more when there is an answer', async () => {
  const { clock, outage, told } = setUp();
  outage.note({ runId: 1, ...down });
  await clock.advance(59_000);
  outage.note({ runId: 2, ...down });
  outage.note({ runId: null, ...down });
  expect(told).toEqual([]);
  await clock.advance(1_000);
  expect(told.splice(0)).toEqual([
    [1, TEXT],
    [2, TEXT],
  ]);
  outage.note({ runId: 3, ...down });
  expect(told.splice(0)).toEqual([[3, TEXT]]);
  outage.note({ runId: 4, ...fine });
  outage.note({ runId: 1, ...fine });
  expect(told).toEqual([['all', 'The model answers again: I go on.']]);
});

test('a trouble that another model takes on is none: nobody more is told, and who knows of it hears of the next answer', async () => {
  const { clock, outage, told } = setUp();
  outage.note({ runId: 1, ...down });
  outage.setAside();
  await clock.advance(120_000);
  expect([told, outage.state()]).toEqual([[], undefined]);
  outage.note({ runId: 1, ...down });
  await clock.advance(60_000);
  expect(told.splice(0)).toEqual([[1, TEXT]]);
  outage.setAside();
  expect(outage.state()).toBeUndefined();
  outage.note({ runId: 1, ...fine });
  expect(told).toEqual([['all', 'The model answers again: I go on.']]);
});

test('a back end that asks for an hour until the next try: told after a minute, without another call', async () => {
  const { clock, outage, told } = setUp();
  outage.note({ runId: 1, server, why: 'it lets me ask no more for now (error 429)' });
  await clock.advance(3_600_000);
  expect(told).toHaveLength(1);
});

test('an answer in between begins a new minute; so does another server, and an hour in which nobody asked', async () => {
  const { clock, outage, told } = setUp();
  const troubles = [
    () => outage.note({ runId: 2, ...fine }),
    () => outage.note({ runId: null, server: 'other', why: 'it is broken' }),
  ];
  for (const change of troubles) {
    outage.note({ runId: null, ...down });
    await clock.advance(50_000);
    change();
    outage.note({ runId: 1, ...down });
    await clock.advance(50_000);
    expect(told.filter(([who]) => who !== 'all')).toEqual([]);
    outage.note({ runId: 1, ...fine });
  }
  outage.note({ runId: null, ...down });
  await clock.advance(3_600_000);
  outage.note({ runId: 1, ...down });
  expect(told.filter(([who]) => who !== 'all')).toEqual([]);
});

test('the first answer after a start ends what an earlier process told', () => {
  const told: string[] = [];
  const note = (text: string) => void told.push(text);
  const outage = createOutage({
    clock: createFakeClock(),
    tell: () => undefined,
    over: note,
    onChange: () => undefined,
  });
  for (const runId of [1, 2]) outage.note({ runId, ...fine });
  expect(told).toEqual(['The model answers again: I go on.']);
});

test('what is wrong at present can be asked for: the latest reason, and none once there is an answer', async () => {
  const { clock, outage } = setUp();
  const since = clock.now();
  outage.note({ runId: 1, ...down });
  expect(outage.state()).toBeUndefined();
  await clock.advance(10_000);
  outage.note({ runId: 1, server, why: 'it is broken (error 500)' });
  expect(outage.state()).toEqual({ server, why: 'it is broken (error 500)', since });
  outage.note({ runId: 1, ...fine });
  expect(outage.state()).toBeUndefined();
});

test('a call that has been silent for long counts from when it began', () => {
  const { clock, outage, told } = setUp();
  outage.note({ runId: 1, server, why: 'it has been silent for 90 seconds', since: clock.now() - 90_000 });
  expect(told).toHaveLength(1);
});
