// Counts what lies in folders that a container can change at any moment. A process of its own, with the lowest priority: a million files take
// seconds, and neither the event loop nor other work waits for them. Prints one line of JSON.
//
// Each folder is opened by its name within the one opened before and no link is followed, so what is counted lies below the root. Names are bytes:
// what is no UTF-8 counts as well. A file with several names counts once, and holes in a file count nothing.
import fs from 'node:fs';
import os from 'node:os';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const { roots, maxBytes, maxFiles, maxMs } = JSON.parse(process.argv[2]);
/** Each level holds two descriptors. */
const MAX_DEPTH = 128;
const MAX_LARGEST = 3;
/** Between two looks at the clock. */
const LOOK_EVERY = 500;

const began = performance.now();
const found = { bytes: 0, files: 0, isHidden: false, isCut: false, largest: [] };
/** Inodes of files with several names. */
const seen = new Set();

os.setPriority(os.constants.priority.PRIORITY_LOW);
for (const root of roots) walk(root);
console.log(JSON.stringify(found));

function isEnough() {
  if (found.bytes > maxBytes || found.files > maxFiles) return true;
  found.isCut ||= found.files % LOOK_EVERY === 0 && performance.now() - began > maxMs;
  return found.isCut;
}

/** Depth first: what lies in one entry of the root comes together. */
function walk({ name: rootName, path }) {
  const open = [];
  try {
    const root = enter(Buffer.from(path), open);
    if (!root) return;
    let label;
    let before = 0;
    while (open.length > 0 && !isEnough()) {
      const folder = open.at(-1);
      const entry = folder.dir.readSync();
      if (!entry) leave(open);
      if (open.length === 1 && label !== undefined) {
        noteLargest(label, found.bytes - before);
        label = undefined;
      }
      if (!entry) continue;
      if (open.length === 1) [label, before] = [`${rootName}/${entry.name}`, found.bytes];
      count(Buffer.concat([folder.here, entry.name]), root.device, open);
    }
    if (label !== undefined) noteLargest(label, found.bytes - before);
  } finally {
    while (open.length > 0) leave(open);
  }
}

function count(place, device, open) {
  const stat = attempt(() => fs.lstatSync(place));
  // Gone, or on another disk.
  if (!stat || stat.dev !== device) return;
  found.files += 1;
  if (stat.nlink > 1 && !stat.isDirectory()) {
    if (seen.has(stat.ino)) return;
    seen.add(stat.ino);
  }
  found.bytes += stat.blocks * 512;
  if (!stat.isDirectory()) return;
  if (open.length >= MAX_DEPTH) found.isHidden = true;
  else enter(place, open, stat);
}

/** Undefined where there is no folder (any more). One of ours that cannot be opened hides what is in it: a container can close its own. */
function enter(place, open, stat) {
  let fd;
  try {
    fd = fs.openSync(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
    const here =
      process.platform === 'linux' ? Buffer.from(`/proc/self/fd/${fd}/`) : Buffer.concat([place, Buffer.from('/')]);
    const dir = fs.opendirSync(here, { encoding: 'buffer', bufferSize: 256 });
    const folder = { fd, here, dir, device: fs.fstatSync(fd).dev };
    open.push(folder);
    return folder;
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd);
    if (stat?.uid === process.getuid() && /^(EACCES|EPERM|ENAMETOOLONG|EMFILE)$/.test(error.code))
      found.isHidden = true;
    return undefined;
  }
}

function leave(open) {
  const { dir, fd } = open.pop();
  dir.closeSync();
  fs.closeSync(fd);
}

function attempt(act) {
  try {
    return act();
  } catch {
    return undefined;
  }
}

function noteLargest(path, bytes) {
  if (bytes === 0) return;
  found.largest.push({ path, bytes });
  found.largest.sort((a, b) => b.bytes - a.bytes);
  found.largest.length = Math.min(found.largest.length, MAX_LARGEST);
}
