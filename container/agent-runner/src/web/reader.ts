// The reader: a process for one answer of a site. Bytes on standard input, where they are from as its argument; what they say as lines of JSON on
// standard output, the last whole one counts. It reads what anybody wrote, so the runner gives it little time and memory.
import { readFileSync, writeSync } from 'node:fs';
import { describeError } from '../../../../src/core/errors.js';
import { convert } from './convert.js';
import { type Document, source } from './document.js';

/** Written before the work goes on: what is in a stream's buffer is lost when the process is killed. */
function say(document: Document): void {
  let rest = Buffer.from(`${JSON.stringify(document)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSome(rest));
}

/** How many bytes were taken: none while the pipe is full, until the runner has read. */
function writeSome(bytes: Buffer): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS);
    return 0;
  }
}
const FULL_PIPE_MS = 5;

convert(readFileSync(0), source.parse(JSON.parse(process.argv[2] ?? '')), say)
  .then(say)
  .catch((error) => {
    console.error(`reader: ${describeError(error)}`);
    process.exitCode = 1;
  });
