// Opens tunnels to a site that sends for ever, and reads nothing of it, or sends for ever itself. Counts what was answered to CONNECT.
import { connection, count, main, sleep } from './lib.mjs';

main(async ({ target, times, forMs, read = false, send = false }) => {
  const answers = [];
  const sockets = Array.from({ length: times }, () => {
    const socket = connection();
    socket.once('data', (data) => {
      answers.push(String(data.subarray(9, 12)));
      if (!read) socket.pause();
      const piece = Buffer.alloc(256 * 1024);
      const more = () => {
        while (!socket.destroyed && socket.write(piece));
      };
      if (send) more(socket.on('drain', more));
      else socket.write('go');
    });
    socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: x\r\n\r\n`);
    return socket;
  });
  await sleep(forMs);
  for (const socket of sockets) socket.destroy();
  return count(answers);
});
