// The log of a service: one file that is renamed when it is full, the oldest of five removed. Written at once, line by line, so that
// nothing is missing after a kill; no thread and no timer as a transport would have. Knows nothing about what the lines say.
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, statSync, truncateSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MIB = 1024 * 1024;

export const logFile = (dataDir: string): string => join(dataDir, 'logs', 'pinch.log');
/** What set-up and a start that failed print; the service manager writes it and never ends it. */
export const startLog = (dataDir: string): string => join(dataDir, 'logs', 'start.log');

/** The files of a log, oldest first; some may not be there. */
export const logFiles = (file: string, keep = 5): string[] =>
  Array.from({ length: keep }, (_, index) => keep - 1 - index).map((age) => (age === 0 ? file : `${file}.${age}`));

/** A destination for pino. A disk that is full costs lines, which are counted in the next one that fits, never the process. */
export function rotatingFile(file: string, { maxBytes = 10 * MIB, keep = 5 } = {}): { write(line: string): void } {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const open = () => openSync(file, 'a', 0o600);
  let fd = open();
  let size = fstatSync(fd).size;
  let lost = 0;

  function rotate(): void {
    const files = logFiles(file, keep);
    for (const [index, name] of files.slice(1).entries()) {
      const older = files[index];
      if (older && statSync(name, { throwIfNoEntry: false })) renameSync(name, older);
    }
    closeSync(fd);
    fd = open();
    size = 0;
  }

  return {
    write(line) {
      const text = lost === 0 ? line : `{"level":40,"lines":${lost},"msg":"log lines lost"}\n${line}`;
      try {
        if (size > 0 && size + Buffer.byteLength(text) > maxBytes) rotate();
        size += writeSync(fd, text);
        lost = 0;
      } catch {
        // Where would it be told?
        lost += 1;
      }
    },
  };
}

/** The service manager appends to the start log for years: what is too long to read is dropped at a start. */
export function trimStartLog(dataDir: string): void {
  const file = startLog(dataDir);
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MIB) truncateSync(file);
}
