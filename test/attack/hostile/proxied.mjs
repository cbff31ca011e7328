// Asks the proxy for each of `targets` (`times` times in all), by CONNECT and by a whole URL, or says `heads` as they are. Counts the answers.
import { connection, count, main, many } from './lib.mjs';

const WAIT_MS = 8_000;

function say(head) {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connection((data) => {
      answer += data;
      if (answer.length >= 12) socket.destroy();
    });
    const late = setTimeout(() => socket.destroy(), WAIT_MS);
    socket.on('close', () => {
      clearTimeout(late);
      resolve(answer.slice(9, 12) || 'none');
    });
    socket.write(`${head}\r\n\r\n`);
  });
}

main(async ({ targets = [], heads, times, atOnce = 16 }) => {
  const said = heads ?? [
    ...targets.map((target) => `CONNECT ${target} HTTP/1.1\r\nhost: x`),
    ...targets.map((target) => `GET http://${target}/ HTTP/1.1\r\nhost: x\r\nconnection: close`),
  ];
  const name = (head) => head.replaceAll('#', Math.random().toString(36).slice(2));
  return count(await many(times ?? said.length, atOnce, (index) => say(name(said[index % said.length]))));
});
