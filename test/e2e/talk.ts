// What tests say to a daemon and wait for: through the page's API, the model being the scripted fake.

import { z } from 'zod';
import { type FakeAnthropic, type FakeOptions, startFakeAnthropic } from '../fakes/anthropic.js';
import { type DaemonOptions, type DaemonProcess, eventually, startDaemon } from './harness.js';

export interface Scene {
  model: FakeAnthropic;
  daemon: DaemonProcess;
  /** Settings by which a daemon uses the model. */
  env: Record<string, string>;
  close(): Promise<void>;
}

export const KEY = 'sk-ant-canary-0123456789';

/** A model fake and a daemon that uses it. */
export async function startScene(options: { model?: FakeOptions; daemon?: DaemonOptions } = {}): Promise<Scene> {
  const model = await startFakeAnthropic({ key: KEY, ...options.model });
  const env = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: KEY };
  const scene: Scene = {
    model,
    env,
    daemon: await startDaemon({ ...options.daemon, env: { ...env, ...options.daemon?.env } }),
    async close() {
      await scene.daemon.kill('SIGTERM');
      await model.close();
    },
  };
  return scene;
}

const pageMessages = z.object({
  messages: z.array(z.object({ id: z.number(), direction: z.enum(['in', 'out']), text: z.string() })),
});

/** Texts of the web chat in one direction, oldest first. */
export async function chatTexts(daemon: DaemonProcess, direction: 'in' | 'out'): Promise<string[]> {
  const { body } = await daemon.api('GET', '/api/chat/messages?after=0');
  return pageMessages
    .parse(body)
    .messages.filter((message) => message.direction === direction)
    .map((message) => message.text);
}

export async function say(daemon: DaemonProcess, text: string): Promise<number> {
  const { body } = await daemon.api('POST', '/api/chat', { text });
  return z.object({ runId: z.number() }).parse(body).runId;
}

/** Waits for the n-th text the assistant sent to the web chat, from 1. */
export function nthReply(daemon: DaemonProcess, n: number, timeoutMs?: number): Promise<string> {
  return eventually(async () => (await chatTexts(daemon, 'out'))[n - 1], `reply ${n}`, timeoutMs);
}

const runDetail = z.object({
  run: z.object({ id: z.number(), state: z.string(), attempt: z.number(), errorClass: z.string().nullable() }),
  events: z.array(z.object({ kind: z.string(), at: z.number(), detail: z.record(z.string(), z.unknown()) })),
});

export async function runOf(daemon: DaemonProcess, id: number): Promise<z.infer<typeof runDetail>> {
  return runDetail.parse((await daemon.api('GET', `/api/runs/${id}`)).body);
}

export function waitForRun(
  daemon: DaemonProcess,
  id: number,
  states: string[],
  timeoutMs?: number,
): Promise<z.infer<typeof runDetail>> {
  return eventually(
    async () => {
      const detail = await runOf(daemon, id);
      return states.includes(detail.run.state) ? detail : undefined;
    },
    `run ${id} in ${states.join('/')}`,
    timeoutMs,
  );
}

/** A step in which the model calls bash. */
export const bash = (command: string, more: Record<string, unknown> = {}) => ({
  content: [{ type: 'tool_use' as const, name: 'bash', input: { command, ...more } }],
});
