// Asks the host for each thing of /workspace/probes.json, one after the other, and tells what came of it; in between it looks whether the
// host still serves this run.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { call, connection, main, sleep } from './lib.mjs';

const MOST = 4_000;
/** After the first bytes: an answer comes in one go. */
const REST_MS = 120;
/** Calls come at most so often, or they would meet the bound on calls in the place of what they are to meet. */
const PAUSE_MS = 40;

/** All that comes back for these bytes. */
function say({ say: text, waitMs = 5_000 }) {
  return new Promise((resolve) => {
    let answer = '';
    let timer;
    const socket = connection((data) => {
      if (answer.length < MOST) answer += data.toString('latin1');
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), REST_MS);
    });
    timer = setTimeout(() => {
      answer ||= 'silence';
      socket.destroy();
    }, waitMs);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(answer);
    });
    socket.write(text);
  });
}

/** One line of it: each status, and what the last answer says about it. */
function lineOf(raw) {
  if (raw === '') return 'closed';
  const heads = [...raw.matchAll(/^HTTP\/1\.[01] (\d{3}) ?(.*)/gm)];
  if (heads.length === 0) return raw.slice(0, 200);
  const [, , reason] = heads.at(-1);
  const body = raw.slice(heads.at(-1).index).split('\r\n\r\n').slice(1).join(' ');
  return `${heads.map(([, status]) => status).join('+')} ${wordsOf(body) || reason}`.trim();
}

/** What a JSON answer says. */
function wordsOf(text) {
  try {
    // Chunked or not.
    const { error, ...rest } = JSON.parse(/{.*}/s.exec(text)?.[0] ?? text);
    return error?.message ?? JSON.stringify(rest);
  } catch {
    return '';
  }
}

async function door({ door: target }) {
  const connect = await say({ say: `CONNECT ${target} HTTP/1.1\r\nhost: x\r\n\r\n` });
  const whole = await say({ say: `GET http://${target}/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n` });
  const lines = [...new Set([connect, whole].map(lineOf))];
  return { raw: connect + whole, answer: lines.join(' | ') };
}

async function request({ call: line, body, headers }) {
  const [method, ...path] = line.split(' ');
  const { status, text, reason } = await call(method, path.join(' '), body, headers);
  return { raw: text, answer: `${status} ${wordsOf(text) || text || reason}` };
}

function shell({ shell: command }) {
  return new Promise((resolve) => {
    execFile('bash', ['-c', `exec 2>&1; ${command}`], { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }, (_error, out) =>
      resolve({ raw: out.slice(0, MOST), answer: out.trim().slice(-300) || '(nothing)' }),
    );
  });
}

async function ask(probe) {
  if (probe.say !== undefined) {
    const raw = await say(probe);
    return { raw, answer: lineOf(raw) };
  }
  if (probe.door !== undefined) return door(probe);
  return probe.call === undefined ? shell(probe) : request(probe);
}

main(async ({ runId }) => {
  const rows = [];
  for (const { name, ...probe } of JSON.parse(readFileSync('/workspace/probes.json', 'utf8'))) {
    const { raw, answer } = await ask(probe);
    const { status } = await call('POST', '/tasks/list', { runId });
    rows.push({ name, answer, raw: raw.slice(0, MOST), alive: status === 200 });
    await sleep(PAUSE_MS);
  }
  return rows;
});
