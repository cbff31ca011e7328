// Entry of the agent runner: opens the link on stdin and stdout, works, and ends with it.
import { Console } from 'node:console';
import { GATEWAY_PORT } from '../../../src/wire.js';
import { startAgent } from './agent.js';
import { openLink } from './link.js';

async function main(): Promise<void> {
  const { env } = process;
  let close: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  const port = Number(env.PINCH_RUNNER_PORT ?? GATEWAY_PORT);
  const link = await openLink({ stdin: process.stdin, stdout: process.stdout, port, onClosed: close });
  const agent = startAgent({
    port: link.port,
    paths: {
      workspace: env.PINCH_RUNNER_WORKSPACE ?? '/workspace',
      global: env.PINCH_RUNNER_GLOBAL ?? '/global',
      sessions: env.PINCH_RUNNER_SESSIONS ?? '/sessions',
      skills: env.PINCH_RUNNER_SKILLS ?? '/skills',
    },
  });
  await Promise.race([agent.ended, closed]);
  // Nothing may outlive the link: the host counts on it when it was killed.
  agent.killAll();
  process.exit(0);
}

// Standard output is the link, so nothing else may write there.
globalThis.console = new Console(process.stderr, process.stderr);
main().catch((error) => {
  console.error('fatal', error);
  process.exit(1);
});
