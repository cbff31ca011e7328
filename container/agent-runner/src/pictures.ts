// Pictures that are too large for a model are made smaller, by a process apart whose time and memory are bounded: what is small in bytes may be huge in pixels.
import { execFile } from 'node:child_process';

/** Of computing, for one picture of 40 million pixels on a slow machine; a busy one gets more time for the same work. */
const CPU_S = 30;
const LIMIT_MS = 120_000;
const HEAP_MB = 256;
/** 640 MB in pages of 64 KiB, where the picture is. */
const PICTURE_PAGES = 10_240;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export type Pictures = ReturnType<typeof createPictures>;

/** `program`: the bundle of picture.ts. */
export function createPictures(program: string, limitMs = LIMIT_MS) {
  let last: Promise<unknown> = Promise.resolve();
  return {
    /** A smaller one, as JPEG. One after the other: each may take most of a container's memory. Rejects with a short reason. */
    shrink(bytes: Buffer, signal: AbortSignal): Promise<Buffer> {
      const shrinking = last.then(() => shrink({ program, limitMs, bytes, signal }));
      last = shrinking.catch(() => undefined);
      return shrinking;
    },
  };
}

const BOUNDED = `ulimit -t ${CPU_S}; exec "$0" "$@"`;

type Work = { program: string; limitMs: number; bytes: Buffer; signal: AbortSignal };

function shrink({ program, limitMs, bytes, signal }: Work): Promise<Buffer> {
  const bounds = { timeout: limitMs, killSignal: 'SIGKILL' as const, maxBuffer: MAX_OUTPUT_BYTES, signal };
  const args = [`--max-old-space-size=${HEAP_MB}`, `--wasm-max-mem-pages=${PICTURE_PAGES}`, program];
  return new Promise((resolve, reject) => {
    const options = { ...bounds, encoding: 'buffer' as const, env: {} };
    const child = execFile('/bin/sh', ['-c', BOUNDED, process.execPath, ...args], options, (error, stdout) => {
      if (!error && stdout.length > 0) return resolve(stdout);
      if (error?.name === 'AbortError') return reject(error);
      const isLate = error?.killed || /XCPU|KILL/.test(String(error?.signal));
      reject(new Error(isLate ? 'that takes too long' : 'it is damaged or needs too much memory'));
    });
    // It may end before it has read all.
    child.stdin?.on('error', () => undefined).end(bytes);
  });
}
