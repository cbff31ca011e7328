import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('a time limit among several signals fires, whatever is collected meanwhile', () => {
  const script = `
    import { timeLimit } from ${JSON.stringify(join(import.meta.dirname, 'clock.ts'))};
    const hold = new AbortController();
    const make = () => AbortSignal.any([hold.signal, timeLimit(300)]);
    const fired = new Promise((resolve) => make().addEventListener('abort', () => resolve('fired')));
    const collecting = setInterval(() => gc(), 20);
    const late = new Promise((resolve) => setTimeout(() => resolve('forgotten'), 5_000));
    console.log(await Promise.race([fired, late]));
    process.exit(0);`;
  const built = execFileSync('npx', ['esbuild', '--bundle', '--format=esm', '--platform=node'], {
    input: script,
    encoding: 'utf8',
    cwd: join(import.meta.dirname, '../..'),
  });
  const output = execFileSync(process.execPath, ['--expose-gc', '--input-type=module'], {
    input: built,
    encoding: 'utf8',
  });
  expect(output.trim()).toBe('fired');
});
