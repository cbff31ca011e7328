// The sandbox the settings ask for.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import { PinchError } from '../errors.js';
import { containerUser, homeId } from '../home.js';
import type { Logger } from '../log.js';
import { createDockerSandbox } from './docker.js';
import { connectEngine } from './engine.js';
import { createProcessSandbox } from './process.js';
import type { Sandbox } from './sandbox.js';

/** Throws PinchError `no_image` when the agent image was never built in this checkout. */
export function createSandbox(config: Config, { clock, log }: { clock: Clock; log: Logger }): Sandbox {
  if (config.runtime === 'process') {
    log.warn('agents run WITHOUT a sandbox (PINCH_RUNTIME=process)');
    return createProcessSandbox({ bundle: join(config.repository, 'dist', 'runner.cjs'), clock, log });
  }
  return createDockerSandbox({
    engine: connectEngine(config.env),
    image: agentImage(config),
    homeId: homeId(config.home),
    user: containerUser(),
    clock,
    log,
  });
}

/** Tag of the image `npm start` built. Throws PinchError `no_image`. */
export function agentImage(config: Config): string {
  const file = join(config.repository, 'dist', 'agent-image.json');
  try {
    return z.object({ tag: z.string() }).parse(JSON.parse(readFileSync(file, 'utf8'))).tag;
  } catch (error) {
    throw new PinchError('no_image', 'the agent image of this checkout was never built', {
      hint: 'start with `npm start`, it builds it',
      cause: error,
    });
  }
}
