// Lines of a runner's stderr in our log, at debug, cut and limited in number: a container must not fill the disk.
import { createInterface } from 'node:readline';
import { type Readable, Transform } from 'node:stream';
import type { Logger } from '../core/log.js';

const MAX_LINE_CHARS = 500;
const MAX_BYTES = 256 * 1024;

/** Reads `stderr` to its end; what is over the limit is read and thrown away. */
export function logRunnerLines(stderr: Readable, log: Logger): void {
  let budget = MAX_BYTES;
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const kept = chunk.subarray(0, budget);
      budget -= kept.length;
      done(null, kept);
    },
  });
  stderr.on('error', () => limited.end());
  createInterface({ input: stderr.pipe(limited) }).on('line', (line) =>
    log.debug({ line: line.slice(0, MAX_LINE_CHARS) }, 'runner'),
  );
}
