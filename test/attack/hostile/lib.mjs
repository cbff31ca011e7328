// What the hostile programs share. They run in the agent's shell: same user, same rights, same lack of a network as what a model was
// talked into running. Plain Node, no packages.
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';

export const HOST = { host: '127.0.0.1', port: 8080 };
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `attack` with what the case gave and leaves what it returns where the test finds it. */
export async function main(attack) {
  const input = JSON.parse(process.argv[2] ?? '{}');
  const value = await attack(input).catch((error) => ({ failed: String(error?.stack ?? error) }));
  leave(value ?? null);
  process.exit(0);
}

/** Also for programs that go on afterwards. */
export function leave(value) {
  writeFileSync('/workspace/answer.part', JSON.stringify(value));
  renameSync('/workspace/answer.part', '/workspace/answer.json');
}

/** One request; resolves with status, reason and text, or with the error's code as text. Never rejects. */
export function call(method, path, body, headers = {}) {
  return new Promise((resolve) => {
    const request = http.request({ ...HOST, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        if (text.length < 4_000) text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, reason: response.statusMessage, text }));
      response.on('error', (error) => resolve({ status: 0, text: String(error.code) }));
    });
    request.on('error', (error) => resolve({ status: 0, text: String(error.code) }));
    request.end(typeof body === 'object' ? JSON.stringify(body) : body);
  });
}

/** Runs `times` calls of `work`, `atOnce` of them at a time. */
export async function many(times, atOnce, work) {
  const results = [];
  let next = 0;
  const one = async () => {
    while (next < times) results.push(await work(next++));
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return results;
}

/** How often each value came, for short answers. */
export function count(values) {
  const counts = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

/** A bare connection to the host; errors are part of the game. */
export function connection(onData = () => undefined) {
  const socket = net.connect(HOST);
  socket.on('error', () => socket.destroy()).on('data', onData);
  return socket;
}

/** Process ids of the agent runner in this container. */
export function runners() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readCommand(pid).startsWith('node\0/opt/pinch/runner.cjs'))
    .map(Number);
}

function readCommand(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
