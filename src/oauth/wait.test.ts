// How often a terminal asks whether the owner has typed the code.
import { expect, test } from 'vitest';
import { systemClock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { waitForDevice } from './wait.js';

const flow = {
  ...{
    kind: 'device' as const,
    deviceCode: 'a-secret-code',
    userCode: 'ABCD-EFGH',
    url: 'https://login.example/device',
  },
  ...{ fullUrl: null, livesMs: 600_000, intervalMs: 5_000 },
};

async function wait(answers: (string | Error)[]) {
  const [slept, said]: [number[], string[]] = [[], []];
  const left = [...answers];
  const done = waitForDevice(
    {
      async ask(_call, body) {
        expect(body).toEqual({ deviceCode: 'a-secret-code' });
        const next = left.length > 1 ? left.shift() : left[0];
        if (next instanceof Error) throw next;
        return { state: next };
      },
      say: (text) => said.push(text),
      clock: { ...systemClock, sleep: async (ms) => void slept.push(ms) },
    },
    'POST /x',
    flow,
  );
  const error = await done.catch((reason: unknown) => reason);
  return { slept, said: said.join(), error };
}

test('as the server wants it, slower for good when it says so', async () => {
  const { slept, said, error } = await wait(['pending', 'slow_down', 'pending', 'connected']);
  expect(slept).toEqual([5_000, 5_000, 10_000, 10_000]);
  expect(said).toContain('ABCD-EFGH');
  expect(said).not.toContain('a-secret-code');
  expect(error).toBeUndefined();
});

test('while it cannot be reached, or the daemon is started again, ever more seldom', async () => {
  const away = new PinchError('not_running', 'nothing answers');
  const { slept } = await wait(['unreachable', away, 'unreachable', away, 'unreachable', 'pending', 'connected']);
  expect(slept).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 5_000]);
});

test('a no ends it, and so does time', async () => {
  expect((await wait(['pending', new PinchError('refused', 'it was refused')])).error).toMatchObject({
    code: 'refused',
  });
  const { slept, error } = await wait(['pending']);
  expect(error).toMatchObject({ code: 'expired' });
  expect(slept).toHaveLength(120);
});
