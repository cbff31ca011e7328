// HTTP/1 that is none.
import { call, connection, main, sleep } from './lib.mjs';

const LINES = [
  'GET / HTTP/9.9\r\n\r\n',
  'GET  / HTTP/1.1\r\nhost: x\r\n\r\n',
  'POST /send HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde',
  'POST /send HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
  'POST /send HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nabcde\r\n0\r\n\r\n',
  'POST /send HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n',
  'POST /send HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n',
  'GET /work HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nhost: x\r\n\r\nmore',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  `GET / HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(10_000)}\r\n`,
  `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
  'GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(500),
  '\0\xff\n\r'.repeat(1_000),
];

main(async () => {
  const answers = [];
  for (const line of LINES) {
    let answer = '';
    const socket = connection((data) => {
      answer += data;
    });
    socket.write(line);
    await sleep(100);
    socket.destroy();
    answers.push(answer.slice(9, 12) || 'none');
  }
  await sleep(5_000);
  return { answers: answers.join(' '), after: (await call('GET', '/nothing')).status };
});
