// What `pinch doctor` asks others: the running daemon, the service manager, its own port from outside, the model back end.
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { z } from 'zod';
import { type ChannelState, needsPerson } from '../channels/channel.js';
import { PinchError } from '../core/errors.js';
import { type CheckDeps, type Finding, failure, ok, skipped, warning } from './finding.js';
import { endText } from './last-run.js';

const CONNECT_MS = 500;
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
