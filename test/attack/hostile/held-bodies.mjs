// Sends large bodies and holds the last bytes back, or sends them all at the same time.
import { connection, count, main, sleep } from './lib.mjs';

/** `finish`: sends the last byte as well. */
main(async ({ path, bytes, times, holdMs = 0, finish = false }) => {
  const chunk = Buffer.alloc(256 * 1024, 'x');
  const answers = await Promise.all(
    Array.from({ length: times }, async () => {
      let answer = '';
      const socket = connection((data) => {
        answer += data;
      });
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
      );
      for (let sent = 0; sent < bytes - 1 && !socket.destroyed; ) {
        const piece = chunk.subarray(0, Math.min(chunk.length, bytes - 1 - sent));
        sent += piece.length;
        if (!socket.write(piece)) await Promise.race([new Promise((go) => socket.once('drain', go)), sleep(5_000)]);
      }
      if (finish) socket.write('x');
      await sleep(holdMs);
      if (!socket.destroyed)
        await Promise.race([new Promise((go) => socket.once('data', go)), sleep(finish ? 3_000 : 0)]);
      socket.destroy();
      return answer.slice(9, 12) || 'none';
    }),
  );
  return count(answers);
});
