// Hands a mail to an SMTP server on 127.0.0.1, as a mail program does that speaks no TLS and does not wait for what it knows.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

export interface Submission {
  port: number;
  /** User name, which is also the sender of the envelope. */
  login: string;
  password: string;
  to: string;
  /** The mail; its lines may end with LF. */
  raw: string;
}

/** Resolves once the server took the mail; throws with its words when it refuses. */
export async function submitMail({ port, login, password, to, raw }: Submission): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const expectReply = async (digit: string): Promise<void> => {
    for (;;) {
      const { done, value } = await lines.next();
      if (done || !value.startsWith(digit)) throw new Error(`the mail server said: ${value ?? 'nothing more'}`);
      // The last line of an answer has a space behind its number.
      if (value[3] !== '-') return;
    }
  };
  const say = (line: string, digit: string) => {
    socket.write(`${line}\r\n`);
    return expectReply(digit);
  };
  try {
    await once(socket, 'connect');
    await expectReply('2');
    await say('EHLO localhost', '2');
    await say(`AUTH PLAIN ${Buffer.from(`\0${login}\0${password}`).toString('base64')}`, '2');
    await say(`MAIL FROM:<${login}>`, '2');
    await say(`RCPT TO:<${to}>`, '2');
    await say('DATA', '3');
    // A line with a dot alone would end the mail.
    const body = raw.replace(/\r?\n/g, '\r\n').replace(/^\./gm, '..');
    await say(`${body}${body.endsWith('\r\n') ? '' : '\r\n'}.`, '2');
    await say('QUIT', '2');
  } finally {
    socket.destroy();
  }
}
