// For tests: the agent as a process of its own that kills itself with SIGKILL right after its n-th fsync (`KILL_AFTER`; 0 = never).
import fs from 'node:fs';
import { startAgent } from '../agent.js';

const { KILL_AFTER, PORT, ROOT } = process.env;
const fsync = fs.fsyncSync;
let left = Number(KILL_AFTER);
fs.fsyncSync = (fd) => {
  fsync(fd);
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
};

const at = (name: string) => `${ROOT}/${name}`;
const paths = {
  workspace: at('workspace'),
  global: at('global'),
  mounts: [],
  sessions: at('sessions'),
  skills: at('skills'),
};
const agent = startAgent({ port: Number(PORT), paths, reader: '' });
await agent.ended;
agent.killAll();
process.exit(0);
