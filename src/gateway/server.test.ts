// What happens when an answer to a container cannot be given. (vitest fails a run with an unhandled rejection, which ends the daemon.)
import http from 'node:http';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { caught } from '../../test/fakes/model-proxy.js';
import { systemClock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { createGateway, type Route } from './server.js';

function start(route: Pick<Route, 'serve'>, onBound: () => void = () => undefined, method: 'GET' | 'POST' = 'POST') {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const gateway = createGateway({ clock: systemClock, log });
  gateway.add([{ ...route, method, path: '/x' }], onBound);
  const link = { groupId: 1, startedAt: 0, onWork: () => undefined };
  const call = (body = '') =>
    new Promise<number>((resolve, reject) => {
      const [outside, inside] = duplexPair();
      gateway.connect(
        link,
        inside.on('close', () => outside.destroy()),
      );
      const request = http.request(
        { path: '/x', method, headers: { 'content-length': body.length }, createConnection: () => outside },
        (response) => {
          response.on('error', reject).on('end', () => resolve(response.statusCode ?? 0));
          response.resume();
        },
      );
      request.on('error', reject).end(body);
    });
  return { call, lines };
}

const tooMany = () => {
  throw new PinchError('too_many', 'slower');
};

test('a refusal that cannot be noted, the disk is full, is logged and ends nothing', async () => {
  const { call, lines } = start({ serve: tooMany }, () => {
    throw new Error('database or disk is full');
  });
  await caught(call());
  await caught(call());
  expect(lines.filter((line) => line.includes('disk is full'))).toHaveLength(1);
});

test.each([
  ['what the container did wrong', tooMany],
  [
    'what we did wrong',
    () => {
      throw new Error('ours');
    },
  ],
])('%s after the answer began cuts the answer off and ends nothing', async (_name, fail) => {
  const { call } = start({
    serve: async ({ response }) => {
      response.writeHead(200).write('x');
      fail();
    },
  });
  expect(await caught(call())).toBeInstanceOf(Error);
});

test('the body of a call that has none is not held while the answer is open', async () => {
  let complete = () => false;
  const { call } = start(
    {
      serve({ request, response }) {
        complete = () => request.complete;
        response.writeHead(200).flushHeaders();
        request.on('end', () => response.end());
      },
    },
    undefined,
    'GET',
  );
  expect(await call('x'.repeat(1_000_000))).toBe(200);
  expect(complete()).toBe(true);
});

test('what is not there, not the caller’s, or too much is told once each; what is only wrong is not', async () => {
  const told: string[] = [];
  const gateway = createGateway({ clock: systemClock, log: pino({ enabled: false }) });
  const refusing = (path: string, code: string): Route => ({
    ...{ method: 'GET', path },
    serve() {
      throw new PinchError(code, code);
    },
  });
  const routes = [refusing('/mine', 'forbidden'), refusing('/more', 'too_many'), refusing('/wrong', 'bad_request')];
  gateway.add(routes, (_link, why) => void told.push(why));
  const link = { groupId: 1, startedAt: 0, onWork: () => undefined };
  for (const path of ['/mine', '/more', '/mine', '/wrong', '/nothing', '/wrong']) {
    const [outside, inside] = duplexPair();
    gateway.connect(
      link,
      inside.on('close', () => outside.destroy()),
    );
    outside.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect(await text(outside)).toMatch(/^HTTP\/1.1 4/);
  }
  expect(told).toEqual(['forbidden', 'too_many']);
});

test.each([
  ['no HTTP', 'nonsense\r\n\r\n'],
  ['two lengths', 'POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n'],
])('%s is answered with words, and the connection ends', async (_what, said) => {
  const gateway = createGateway({ clock: systemClock, log: pino({ enabled: false }) });
  const [outside, inside] = duplexPair();
  gateway.connect(
    { groupId: 1, startedAt: 0, onWork: () => undefined },
    inside.on('close', () => outside.destroy()),
  );
  outside.write(said);
  expect(await text(outside)).toMatch(/^HTTP\/1.1 400 this is no proper HTTP/);
  expect(inside.destroyed).toBe(true);
});

describe('what is meant for other hosts', () => {
  async function say(gateway: ReturnType<typeof createGateway>, line: string): Promise<string> {
    const [outside, inside] = duplexPair();
    gateway.connect(
      { groupId: 1, startedAt: 0, onWork: () => undefined },
      inside.on('close', () => outside.destroy()),
    );
    outside.on('error', () => outside.destroy()).write(`${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    return text(outside).catch(() => '');
  }
  const lines = ['CONNECT example.com:443', 'GET http://example.com/'];

  test.each(lines)('%s is refused where no module takes it', async (line) => {
    const gateway = createGateway({ clock: systemClock, log: pino({ enabled: false }) });
    expect(await say(gateway, line)).toMatch(/^HTTP\/1.1 403 /);
  });

  test.each(lines)('%s that goes wrong ends its own connection alone', async (line) => {
    const gateway = createGateway({ clock: systemClock, log: pino({ enabled: false }) });
    const fail = async () => {
      throw new Error('ours');
    };
    gateway.addProxy({ connect: fail, forward: fail });
    expect(await say(gateway, line)).toMatch(/^(HTTP\/1.1 500 |$)/);
    expect(await say(gateway, 'GET /nothing')).toMatch(/^HTTP\/1.1 403 /);
  });
});
