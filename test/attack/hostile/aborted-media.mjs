// Asks for a file and leaves once the first bytes are there, many times.
import { connection, main, many, sleep } from './lib.mjs';

main(async ({ path, times }) => {
  const begun = await many(times, 16, () => {
    return new Promise((resolve) => {
      const socket = connection(() => {
        socket.destroy();
        resolve(true);
      });
      socket.on('close', () => resolve(false));
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    });
  });
  await sleep(1_000);
  return { begun: begun.filter(Boolean).length };
});
