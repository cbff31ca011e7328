// The program that plays the agent runner in sandbox tests: opens the link as the real one does, asks the host for a script, runs
// it and reports what it returned. Takes the runner's place in the container by a mount over /opt/pinch.
import { createRequire } from 'node:module';
import { openLink } from '../../container/agent-runner/src/link.js';

async function main(): Promise<void> {
  const port = Number(process.env.PINCH_RUNNER_PORT ?? 8080);
  const { stdin, stdout } = process;
  const link = await openLink({ stdin, stdout, port, onClosed: () => process.emit('SIGHUP') });
  const base = `http://127.0.0.1:${link.port}`;
  const script = await (await fetch(`${base}/script`)).text();
  const run = new Function('base', 'require', `return (async () => { ${script} })()`);
  const result: unknown = await run(base, createRequire('/'));
  await fetch(`${base}/result`, { method: 'POST', body: JSON.stringify(result ?? null) });
}

process.once('SIGHUP', () => process.exit(0));
main().catch(async (error) => {
  console.error(error);
  process.exit(3);
});
