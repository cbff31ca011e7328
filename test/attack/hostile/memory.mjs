// Looks for words, given backwards, in all that the agent runner can write in its memory.
import { openSync, readFileSync, readSync } from 'node:fs';
import { runners } from './lib.mjs';

const STEP = 4 * 1024 * 1024;
const words = JSON.parse(process.argv[2] ?? '[]').map((word) => Buffer.from([...word].reverse().join('')));

function look(pid) {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(STEP);
  const found = new Set();
  let bytes = 0;
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (from === undefined) continue;
    for (let at = BigInt(`0x${from}`); at < BigInt(`0x${to}`); at += BigInt(STEP) - 256n) {
      const left = Number(BigInt(`0x${to}`) - at);
      const read = tryRead(memory, buffer, Math.min(STEP, left), at);
      bytes += read;
      for (const [index, word] of words.entries()) if (buffer.subarray(0, read).includes(word)) found.add(index);
    }
  }
  return found.size > 0
    ? `found: ${[...found].join()}`
    : `none of ${words.length} words in ${Math.round(bytes / 2 ** 20)} MB`;
}

function tryRead(memory, buffer, length, at) {
  try {
    return readSync(memory, buffer, 0, length, at);
  } catch {
    // A page that is not there.
    return 0;
  }
}

try {
  console.log(look(runners()[0]));
} catch (error) {
  console.log(error.code ?? error);
}
