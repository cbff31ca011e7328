// For tests: opens a session once for run 9, as a process of its own that kills itself with SIGKILL right after its n-th fsync (`KILL_AFTER`).
import fs from 'node:fs';
import { openSession } from '../session.js';

const fsync = fs.fsyncSync;
let left = Number(process.env.KILL_AFTER);
fs.fsyncSync = (fd) => {
  fsync(fd);
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
};
openSession({ dir: process.env.DIR ?? '', name: 'main-1', runId: 9 }).close();
