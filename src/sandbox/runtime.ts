// What a runtime is: a value of PINCH_RUNTIME, and the sandbox that is made of the settings for it. Knows no single one.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../core/config.js';
import type { BaseDeps } from '../core/deps.js';
import { PinchError } from '../core/errors.js';
import type { Sandbox } from './sandbox.js';

export interface RuntimeDefinition {
  /** What PINCH_RUNTIME says: lower-case letters. What must be there before a start, scripts/lib/runtime-<name>.mjs sees to. */
  name: string;
  /** Connects nothing yet. Throws PinchError when the settings do not suffice. */
  create(config: Config, deps: BaseDeps): Sandbox;
}

/** The agent image's name. Throws PinchError `no_image` when it was never built in this checkout. */
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
