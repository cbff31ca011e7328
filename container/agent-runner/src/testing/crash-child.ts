// For tests: the agent as a process of its own that kills itself with SIGKILL right after its n-th fsync or fdatasync (`KILL_AFTER`; 0 = never).
import fs from 'node:fs';
import { startAgent } from '../agent.js';

const { KILL_AFTER, PORT, ROOT } = process.env;
let left = Number(KILL_AFTER);
for (const name of ['fsyncSync', 'fdatasyncSync'] as const) {
  const sync = fs[name];
  fs[name] = (fd) => {
    sync(fd);
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
}

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
