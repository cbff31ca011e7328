// Opens files that every program in the container could have replaced by a pipe, a link to an endless device or a folder: opening or reading
// those would block all runs of the group. Knows nothing about what is in them.
import fs from 'node:fs';

const { O_RDONLY, O_RDWR, O_APPEND, O_CREAT, O_NONBLOCK } = fs.constants;

function openPlain(file: string, flags: number): number {
  const fd = fs.openSync(file, flags | O_NONBLOCK, 0o600);
  if (fs.fstatSync(fd).isFile()) return fd;
  fs.closeSync(fd);
  throw new Error(`${file} is no file`);
}

/** For reading it and writing at its end; made when it is missing. Throws when something else stands there. */
export const openForAppend = (file: string): number => openPlain(file, O_RDWR | O_APPEND | O_CREAT);

/** The first `mostBytes` of a file. Throws when there is none. */
export const readStart = (file: string, mostBytes: number): Buffer => read(file, mostBytes, () => 0);

/** The last `mostBytes`. */
export const readEnd = (file: string, mostBytes: number): Buffer =>
  read(file, mostBytes, (size) => Math.max(0, size - mostBytes));

function read(file: string, mostBytes: number, startOf: (size: number) => number): Buffer {
  const fd = openPlain(file, O_RDONLY);
  try {
    const { size } = fs.fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(mostBytes, size));
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, startOf(size)));
  } finally {
    fs.closeSync(fd);
  }
}
