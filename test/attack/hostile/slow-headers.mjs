// Connections that never finish what they began: heads, bodies, or not a word.
import { call, connection, main, sleep } from './lib.mjs';

main(async ({ begin, times, forMs }) => {
  let closed = 0;
  const sockets = Array.from({ length: times }, () => {
    const socket = connection().on('close', () => {
      closed += 1;
    });
    socket.write(begin);
    return socket;
  });
  await sleep(forMs);
  const result = { closed };
  for (const socket of sockets) socket.destroy();
  await sleep(500);
  return { ...result, after: (await call('GET', '/nothing')).status };
});
