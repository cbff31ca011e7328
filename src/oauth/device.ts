// The first step of a device flow (RFC 8628): a code that the owner types in a browser anywhere.
import { z } from 'zod';
import { askServer, noTokens, type OAuthClient } from './token-request.js';

const page = z
  .string()
  .max(2_000)
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol));
const answer = z.object({
  device_code: z.string().min(1).max(4_000),
  user_code: z.string().regex(/^[!-~][ -~]{0,63}$/),
  verification_uri: page,
  verification_uri_complete: page.optional(),
  expires_in: z.coerce.number().positive(),
  interval: z.coerce.number().min(1).optional(),
});

export const deviceFlow = z.object({
  kind: z.literal('device'),
  deviceCode: z.string(),
  userCode: z.string(),
  url: z.string(),
  /** With the code in it. */
  fullUrl: z.string().nullable(),
  livesMs: z.number(),
  intervalMs: z.number(),
});
export type DeviceFlow = z.infer<typeof deviceFlow>;

/** What the server wants unless it says so, s. */
const INTERVAL = 5;
const MAX_SECONDS = 3_600;

/** Throws PinchError. */
export async function beginDevice(client: OAuthClient, deviceUrl: string, scopes: string[]): Promise<DeviceFlow> {
  const asked = await askServer(client, deviceUrl, scopes.length > 0 ? { scope: scopes.join(' ') } : {});
  if (asked.kind !== 'said') throw noTokens(client, asked.kind === 'failed' ? asked.why : asked.error);
  const { data } = answer.safeParse(asked.said);
  if (!data) throw noTokens(client, 'it gives no code for another device');
  const { verification_uri_complete: full, expires_in: lives, interval = INTERVAL } = data;
  return {
    ...{ kind: 'device', deviceCode: data.device_code, userCode: data.user_code },
    ...{ url: new URL(data.verification_uri).href, fullUrl: full === undefined ? null : new URL(full).href },
    ...{ livesMs: Math.min(lives, MAX_SECONDS) * 1_000, intervalMs: Math.min(interval, MAX_SECONDS) * 1_000 },
  };
}
