// Pages for the tools of all runs: fetched, and read by a process apart from which nothing but text comes back.
import { execFile } from 'node:child_process';
import { type Document, document, type Source } from './document.js';
import { type Answer, type Door, request } from './request.js';

/** `reader`: the bundled program; `readMs`: for one answer. */
type WebOptions = Door & { reader: string; readMs?: number };

export type Web = ReturnType<typeof createWeb>;

const READ_MS = 10_000;
const READER_MB = 256;
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;

export function createWeb({ reader, readMs = READ_MS, ...door }: WebOptions) {
  let last: Promise<unknown> = Promise.resolve();
  return {
    get: (url: URL, signal: AbortSignal): Promise<Answer> => request(url, door, signal),
    /** One after the other: each may take a third of a container's memory. Rejects when the bytes cannot be read. */
    read(bytes: Buffer, source: Source, signal: AbortSignal): Promise<Document> {
      const reading = last.then(() => read(reader, readMs, { bytes, source, signal }));
      last = reading.catch(() => undefined);
      return reading;
    },
  };
}

type Input = { bytes: Buffer; source: Source; signal: AbortSignal };

/** What the reader found before its time or memory was up; all of it, when it ended by itself. */
function read(program: string, timeout: number, { bytes, source, signal }: Input): Promise<Document> {
  const args = [`--max-old-space-size=${READER_MB}`, program, JSON.stringify(source)];
  const { NODE_COMPILE_CACHE = '' } = process.env;
  const bounds = { timeout, killSignal: 'SIGKILL' as const, maxBuffer: MAX_OUTPUT_BYTES, signal };
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      args,
      { ...bounds, env: { NODE_COMPILE_CACHE } },
      (error, stdout, stderr) => {
        // Behind the last line end is what it was killed at.
        const said = stdout.split('\n').at(-2);
        if (said) return resolve(document.parse(JSON.parse(said)));
        const why = /^reader: (.*)$/m.exec(stderr)?.[1] ?? 'it takes too much time or memory';
        reject(error?.name === 'AbortError' ? error : new Error(`it could not be read (${why})`));
      },
    );
    // It may end before it has read all.
    child.stdin?.on('error', () => undefined).end(bytes);
  });
}
