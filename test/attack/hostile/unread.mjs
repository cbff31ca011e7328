// Asks on every stream there is and reads no answer.
import { connection, main, sleep } from './lib.mjs';

main(async ({ path, method = 'GET', body = '', times, forMs }) => {
  const sockets = Array.from({ length: times }, () => {
    const socket = connection();
    socket.pause();
    socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    return socket;
  });
  await sleep(forMs);
  return { open: sockets.filter((socket) => !socket.destroyed).length };
});
