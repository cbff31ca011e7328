// Preloaded into a script under test: ends the process, as `kill -9` does, at its write number KILL_AT. A file then holds half its bytes.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const at = Number(process.env.KILL_AT);
let count = 0;

for (const name of ['writeFileSync', 'renameSync', 'rmSync', 'rmdirSync', 'mkdirSync', 'chmodSync']) {
  const original = fs[name];
  fs[name] = (...args) => {
    // What goes to temporary folders is nobody's loss.
    const own = !String(args[0]).startsWith(process.env.TMPDIR);
    if (own && count++ === at) {
      if (name === 'writeFileSync') original(args[0], args[1].slice(0, args[1].length / 2));
      process.kill(process.pid, 'SIGKILL');
    }
    return original(...args);
  };
}
syncBuiltinESMExports();
