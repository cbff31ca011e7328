// A host that is there to be killed: starts one container with the arguments it was given, says when its runner works, and waits.
import { createServer } from 'node:http';
import { pino } from 'pino';
import { systemClock } from '../../src/core/clock.js';
import { createDockerSandbox } from '../../src/sandbox/docker.js';
import { connectEngine } from '../../src/sandbox/engine.js';
import { containerUser } from '../../src/sandbox/home.js';

const [, , program = '', homeId = '', image = '', script = ''] = process.argv;

async function main(): Promise<void> {
  const server = createServer((req, res) => {
    if (req.url === '/ready') process.stdout.write('ready\n');
    res.end(script);
  });
  const engine = connectEngine(process.env);
  const log = pino({ enabled: false });
  const sandbox = createDockerSandbox({ engine, image, homeId, user: containerUser(), clock: systemClock, log });
  const mounts = [{ source: program, target: '/opt/pinch', readOnly: true }];
  process.stdout.write('starting\n');
  await sandbox.start({ folder: 'main', mounts }, (connection) => server.emit('connection', connection));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
