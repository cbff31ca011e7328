// The reader: a process for one answer of a site. Bytes on standard input, where they are from as its argument; what they say as lines of JSON on
// standard output, the last whole one counts. It reads what anybody wrote, so the runner gives it little time and memory.
import { readFileSync, writeFileSync } from 'node:fs';
import { describeError } from '../../../../src/core/errors.js';
import { convert } from './convert.js';
import { type Document, source } from './document.js';

// Written before the work goes on: what is in a stream's buffer is lost when the process is killed.
const say = (document: Document): void => writeFileSync(1, `${JSON.stringify(document)}\n`);
convert(readFileSync(0), source.parse(JSON.parse(process.argv[2] ?? '')), say)
  .then(say)
  .catch((error) => {
    console.error(`reader: ${describeError(error)}`);
    process.exitCode = 1;
  });
