// The owner at a terminal: `pinch connect`, which asks the API of a daemon.
import { PassThrough } from 'node:stream';
import { Hono } from 'hono';
import { z } from 'zod';
import { type Clock, systemClock } from '../../core/clock.js';
import { PinchError } from '../../core/errors.js';
import type { Api } from '../../core/http.js';
import { connectService } from '../../oauth/connect.js';

const refused = z.object({ error: z.object({ code: z.string(), message: z.string() }).optional() });

export interface Terminal {
  /** What is shown; `type` is what he types then. */
  onSay(text: string, type: (line: string) => void): void;
  clock?: Clock;
}

export function connectAt(api: Api, name: string, { onSay, clock = systemClock }: Terminal): Promise<string> {
  const app = new Hono();
  api(app);
  const input = new PassThrough();
  const ask = async (line: string, body: object) => {
    const [method = '', path = ''] = line.split(' ');
    const headers = { 'content-type': 'application/json' };
    const response = await app.request(path, { method, headers, body: JSON.stringify(body) });
    const answer: unknown = await response.json();
    const { error } = refused.parse(answer);
    if (error) throw new PinchError('refused', error.message);
    return answer;
  };
  const say = (text: string) => onSay(text, (line) => input.write(`${line}\n`));
  return connectService({ ask, say, input, clock }, name);
}

/** The address that a text shows. */
export const addressIn = (text: string): string | undefined => /^(https?:\S+)$/m.exec(text)?.[1];
