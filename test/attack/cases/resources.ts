// What a program inside uses up: processes, memory, files, output. Its group suffers, the host and the other groups do not.
import { expect } from 'vitest';
import { type Probe, probeFamily } from '../families.js';

const shell = (name: string, command: string, answer: RegExp, more: Partial<Probe> = {}): Probe => ({
  name,
  ask: { shell: command },
  answer,
  ...more,
});
const LOG_BYTES = 300 * 1024;

const probes: Probe[] = [
  shell(
    '20,000 open files',
    `node -e "const fs = require('fs'); let n = 0; try { for (;; n++) fs.openSync('/dev/null') } catch (error) { console.log(error.code, n > 10000) }"`,
    /^EMFILE true$/,
  ),
  shell(
    '400 processes',
    `node -e "
      const all = []; let refused = 0;
      for (let n = 0; n < 400; n++) all.push(require('child_process').spawn('sleep', ['9']).on('error', () => refused++));
      setTimeout(() => { for (const one of all) one.kill(); console.log(refused > 100 && 'some are refused'); process.exit() }, 500)"`,
    /^some are refused$/,
  ),
  shell('a file of a terabyte without bytes', 'truncate -s 1T big; stat -c %s big; rm big', /^1099511627776$/),
  shell(
    '20,000 files in a folder',
    'mkdir many && cd many && seq 20000 | xargs touch; ls | wc -l; cd ..; rm -rf many',
    /^20000$/,
  ),
  shell(
    'folders 1,500 deep',
    `node -e "for (let n = 0; n < 1500; n++) { fs.mkdirSync('d'); process.chdir('d') } console.log(process.cwd().length)"; rm -rf d`,
    /^30\d\d$/,
  ),
  shell('a core that never rests', 'timeout 1 sh -c "while :; do :; done"; echo over', /^over$/),
  shell(
    "100 MB on the runner's standard error",
    'head -c 100M /dev/zero | tr "\\0" "x" | fold -w 200 > /proc/$(pgrep -o -f /opt/pinch/runner.cjs)/fd/2; echo written',
    /^written$/,
    {
      check(_row, { daemon }) {
        const lines = daemon.logs.filter(({ msg }) => msg === 'runner');
        expect(JSON.stringify(lines).length).toBeLessThan(3 * LOG_BYTES);
      },
    },
  ),
  shell(
    'an archive that is larger inside: nothing here opens it',
    'head -c 200M /dev/zero | gzip -9 > inbox-bomb.gz; ls -s inbox-bomb.gz | cut -d" " -f1; rm inbox-bomb.gz',
    /^\d{1,3}$/,
  ),
  shell(
    '300 connections at once',
    'node hostile/connections.mjs 300 1000',
    /^300 of 300 were open, \d+ ended by the host, a call was answered afterwards$/,
  ),
  shell(
    '2,000 connections, each left at once',
    'node hostile/connections.mjs 2000 0',
    /^2000 of 2000 were open, .* a call was answered afterwards$/,
  ),
];

/** Heads may take 20 s; meanwhile other families use the container. */
const heads = 'node hostile/connections.mjs 30 26000 "GET / HTTP/1.1"';
export const slowHeads: Probe = {
  name: '30 heads that never end, in the background of what follows',
  ask: { shell: `(${heads} > /tmp/heads.txt 2>&1 &); sleep 0.1; echo begun` },
  answer: /^begun$/,
};
const slowHeadsEnded = shell(
  '30 heads that never ended',
  `[ -e /tmp/heads.txt ] || ${heads} > /tmp/heads.txt; for n in $(seq 300); do [ -s /tmp/heads.txt ] && break; sleep 0.1; done; cat /tmp/heads.txt`,
  /^30 of 30 were open, 30 ended by the host, a call was answered afterwards$/,
);

export const resources = probeFamily('resources', [...probes, slowHeadsEnded]);
