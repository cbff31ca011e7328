// Opens connections to the host and holds all of them for a while, or leaves each at once; `begin`: what is said on each, and never ended.
import { call, connection, many, sleep } from './lib.mjs';

const [times, holdMs] = process.argv.slice(2, 4).map(Number);
const begin = process.argv[4] ?? '';
let opened = 0;
let ended = 0;
const open = () =>
  new Promise((resolve) => {
    const socket = connection();
    let isOurs = false;
    socket.on('connect', () => {
      opened += 1;
      socket.write(begin);
      isOurs = holdMs === 0;
      if (isOurs) socket.destroy();
      resolve(socket);
    });
    socket.on('close', () => {
      if (!isOurs) ended += 1;
      resolve(socket);
    });
  });
const sockets = await many(times, 64, open);
await sleep(holdMs);
const byHost = ended;
for (const socket of sockets) socket.destroy();
await sleep(200);
const { status } = await call('GET', '/nothing');
const after = status === 403 ? 'a call was answered afterwards' : `afterwards ${status}`;
console.log(`${opened} of ${times} were open, ${byHost} ended by the host, ${after}`);
