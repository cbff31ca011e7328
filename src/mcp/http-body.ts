// What an MCP server answers over HTTP, before the protocol's library reads it in one go: counted, broken off where it is too much, and of what is
// long only what is used, found by the thread that reads long lines.
import { Transform } from 'node:stream';
import { type Parser, SHORT_BYTES } from './parse.js';
import { createSplitter } from './transport.js';

const MB = 1024 * 1024;
/** Of one message, and of all that comes as the answer to one request. */
const LIMITS = { messageBytes: 2 * MB, answerBytes: 64 * MB };
/** So many bytes count like one message. */
const BYTES = 16 * 1024;
/** What a piece and a line count. */
const [PIECE, LINE] = [0.1, 0.01];

export interface BodyDeps {
  parser: Pick<Parser, 'parse'>;
  /** Throws when the server says more than it may. */
  spend(amount: number): void;
}

/** `isEvents`: of many messages each ends with an empty line; else there is one. */
export function readBody(deps: BodyDeps, isEvents: boolean): Transform {
  const read = isEvents ? readEvents(deps) : readOne(deps);
  let all = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      all += chunk.length;
      const take = async () => {
        deps.spend(PIECE + chunk.length / BYTES);
        if (all > LIMITS.answerBytes) throw tooLong();
        await read.feed(chunk, (piece) => this.push(piece));
      };
      take().then(() => done(), done);
    },
    flush(done) {
      read.end().then((last) => done(null, last), done);
    },
  });
}

function readOne({ parser }: BodyDeps) {
  const pieces: Buffer[] = [];
  let bytes = 0;
  return {
    async feed(chunk: Buffer): Promise<void> {
      pieces.push(chunk);
      bytes += chunk.length;
      if (bytes > LIMITS.messageBytes) throw tooLong();
    },
    end: () => light(parser, Buffer.concat(pieces)),
  };
}

function readEvents({ parser, spend }: BodyDeps) {
  const split = createSplitter(LIMITS.messageBytes);
  let lines: Buffer[] = [];
  let bytes = 0;
  async function event(): Promise<Buffer | undefined> {
    if (bytes <= SHORT_BYTES) return Buffer.concat(lines.flatMap((line) => [line, NEWLINE]));
    const data = lines.filter((line) => isData(line)).map((line) => line.subarray(DATA.length));
    const others = lines.filter((line) => !isData(line) && line.length <= SHORT_BYTES);
    // What cannot be read is no message; others may follow.
    const said = await light(parser, Buffer.concat(data)).catch(() => undefined);
    return said && Buffer.concat([...others.flatMap((line) => [line, NEWLINE]), DATA, said, NEWLINE]);
  }
  return {
    async feed(chunk: Buffer, give: (piece: Buffer) => void): Promise<void> {
      for (const line of split(chunk)) {
        spend(LINE);
        if (line.length > 0 && line[0] !== CARRIAGE_RETURN) {
          bytes += line.length + 1;
          if (bytes > LIMITS.messageBytes) throw tooLong();
          lines.push(line);
          continue;
        }
        spend(1);
        const said = await event();
        [lines, bytes] = [[], 0];
        if (said) give(Buffer.concat([said, NEWLINE]));
      }
    },
    // An event without its end is none.
    end: async () => undefined,
  };
}

const [NEWLINE, DATA, CARRIAGE_RETURN] = [Buffer.from('\n'), Buffer.from('data:'), 0x0d];
const isData = (line: Buffer): boolean => line.subarray(0, DATA.length).equals(DATA);
const tooLong = () => new Error('the answer is too long');

/** The library reads what comes out of this in no time. Rejects when it is no JSON. */
const light = async (parser: BodyDeps['parser'], text: Buffer): Promise<Buffer> =>
  text.length <= SHORT_BYTES ? text : Buffer.from(JSON.stringify(await parser.parse(text)));
