// What `pinch doctor` asks others: the running daemon, the service manager, its own port from outside, the model back end.
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { z } from 'zod';
import { type ChannelState, needsPerson } from '../channels/channel.js';
import type { Backend } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { type CheckDeps, type Finding, failure, ok, skipped, warning } from './finding.js';
import { endText } from './last-run.js';

const CONNECT_MS = 500;
const MODEL_MS = 20_000;
const HOUR_MS = 3_600_000;

const channelState = z.custom<ChannelState['state']>((value) => typeof value === 'string');
const status = z.object({
  version: z.string(),
  startedAt: z.number(),
  lastEnd: z.string().nullable(),
  stopped: z.boolean(),
  channels: z.array(z.object({ name: z.string(), state: channelState, detail: z.string() })),
});

async function askStatus({ ask, config }: CheckDeps): Promise<z.infer<typeof status>> {
  try {
    return status.parse(await ask('GET /api/status'));
  } catch (error) {
    if (error instanceof PinchError) throw error;
    const hint = 'end the other program, or set PINCH_PORT to another port in .env';
    throw new PinchError('foreign', `what answers on port ${config.port} is not this Pinch`, { hint, cause: error });
  }
}

export async function checkDaemon(deps: CheckDeps): Promise<Finding[]> {
  try {
    const { version, startedAt, lastEnd, stopped } = await askStatus(deps);
    const findings = [ok(`${version} runs for ${((deps.clock.now() - startedAt) / HOUR_MS).toFixed(1)} h`)];
    if (lastEnd) findings.push(warning(endText(lastEnd), '`pinch logs` has what came before'));
    if (stopped) findings.push(warning('the emergency stop is on', '`npm run -s pinch -- resume` ends it'));
    return findings;
  } catch (error) {
    if (!(error instanceof PinchError)) throw error;
    if (error.code === 'no_port') return [skipped(error.message)];
    if (error.code === 'not_running' || error.code === 'not_started')
      return [warning(error.message, error.hint ?? 'npm start')];
    throw error;
  }
}

export async function checkChannels(deps: CheckDeps): Promise<Finding[]> {
  const answer = await askStatus(deps).catch(() => undefined);
  if (!answer) return [skipped('only the running daemon knows')];
  return answer.channels.map(({ name, state: current, detail }) => {
    const text = `${name} is ${current}${detail && ` (${detail})`}`;
    if (current === 'open') return ok(text);
    return needsPerson(current)
      ? failure(text, detail || '`npm run -s pinch -- pair`')
      : warning(text, 'wait a minute; `npm run -s pinch -- pair` when it wants to be linked');
  });
}

export function checkService({ service }: CheckDeps): Finding {
  const { label, installed, running, detail } = service();
  if (!installed) return skipped('not installed (`npm run -s pinch -- service install` starts Pinch at every boot)');
  return running ? ok(`${label}: ${detail}`) : failure(`${label}: ${detail}`, '`npm run -s pinch -- service logs`');
}

/** The page is for this machine: whatever answers on its port at an address of the network is a hole. */
export async function checkPort({ config: { port } }: CheckDeps): Promise<Finding> {
  if (port === 0) return skipped('PINCH_PORT=0: there is no page');
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  // A link-local address is one only together with its interface.
  const outside = addresses.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address);
  const answers = await Promise.all(outside.map((address) => isOpen(port, address)));
  const open = outside.filter((_, index) => answers[index]);
  if (open.length === 0) return ok(`${port} cannot be reached from the network`);
  return failure(`${port} can be reached from the network at ${open.join(', ')}`, 'end the forwarding to it (lsof -i)');
}

async function isOpen(port: number, host: string): Promise<boolean> {
  const socket = connect({ port, host });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) });
    return true;
  } catch {
    // Refused, or no answer: closed.
    return false;
  } finally {
    socket.destroy();
  }
}

/** One answer of one token: says whether key, address and model fit together. */
export async function checkModel({ config, mayCall }: CheckDeps): Promise<Finding> {
  const { backend, model } = config;
  if (backend.kind === 'demo') return ok('the demo model answers: no account is configured');
  const { host } = new URL(backend.baseUrl);
  if (!(await mayCall(`Ask ${model} at ${host} for one word? It costs less than a cent.`)))
    return skipped(`${model} at ${host}: not asked (--yes)`);
  const response = await callModel(backend, model).catch((error: unknown) => {
    const hint = 'check the network and ANTHROPIC_BASE_URL';
    throw new PinchError('model_unreachable', `${host} does not answer`, { hint, cause: error });
  });
  if (response.ok) return ok(`${model} at ${host} answers`);
  const text = `${host} says ${response.status}: ${await response.text()}`;
  if (response.status === 401 || response.status === 403) return failure(text, 'correct ANTHROPIC_API_KEY in .env');
  if (response.status === 404) return failure(text, 'correct PINCH_MODEL or ANTHROPIC_BASE_URL in .env');
  if (response.status === 429 || response.status >= 500) return warning(text, 'try again later');
  return failure(text, 'do what it says');
}

function callModel(backend: Extract<Backend, { kind: 'http' }>, model: string): Promise<Response> {
  const url = new URL(backend.baseUrl);
  url.pathname = `${url.pathname.replace(/\/(v1\/?)?$/, '')}/v1/messages`;
  const { apiKey, authToken } = backend;
  return fetch(url, {
    method: 'POST',
    signal: AbortSignal.timeout(MODEL_MS),
    headers: {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      ...(apiKey ? { 'x-api-key': apiKey } : authToken && { authorization: `Bearer ${authToken}` }),
    },
    body: JSON.stringify({ model, max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] }),
  });
}
