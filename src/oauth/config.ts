// `oauth2` of a service in services.json: either the owner wrote where to ask, or a server of MCP names it when it is connected.
import { z } from 'zod';
import { isOwnNetwork } from '../core/address.js';

export const variable = z.string().regex(/^[A-Z_][A-Z0-9_]{0,99}$/, {
  error: 'use the name of a variable in .env, in capitals, not the secret itself',
});

/** With the fields that a server wants besides, e.g. `?access_type=offline`. */
const secureUrl = z
  .string()
  .refine((text) => URL.canParse(text) && (new URL(text).protocol === 'https:' || isOwnNetwork(new URL(text))), {
    error: 'use an https URL',
  });
const clientId = z.string().min(1).max(500);
const scopes = z.array(z.string().regex(/^[!-~]{1,200}$/)).default([]);

const written = z
  .strictObject({
    tokenUrl: secureUrl,
    authorizeUrl: secureUrl.optional(),
    deviceUrl: secureUrl.optional(),
    clientId,
    clientSecret: variable.optional(),
    scopes,
  })
  .refine(({ authorizeUrl, deviceUrl }) => authorizeUrl ?? deviceUrl, {
    error: 'give authorizeUrl, or deviceUrl where you type a code on another device',
  });
const found = z
  .strictObject({
    clientId: clientId.optional(),
    clientSecret: variable.optional(),
    /** Where the server finds who we are (a client id metadata document). */
    clientMetadataUrl: z.url({ protocol: /^https$/, error: 'use an https URL' }).optional(),
    /** The only authorization server that is asked. */
    issuer: secureUrl.optional(),
    scopes,
  })
  .refine((how) => !how.clientSecret || (how.clientId && how.issuer), {
    error: 'a clientSecret needs the clientId, and the issuer that alone is given it',
  });
export type WrittenOAuth = z.infer<typeof written>;
export type FoundOAuth = z.infer<typeof found>;
export type OAuth = WrittenOAuth | FoundOAuth;

export const isWritten = (oauth: OAuth): oauth is WrittenOAuth => 'tokenUrl' in oauth;

/** Which of the two is meant tells the tokenUrl, so that what is wrong is said of that one. */
export const oauth2 = z.unknown().transform((value, context): OAuth => {
  const names = z.record(z.string(), z.unknown()).safeParse(value).data ?? {};
  const hasPlace = ['tokenUrl', 'authorizeUrl', 'deviceUrl'].some((name) => name in names);
  const { data, error } = (hasPlace ? written : found).safeParse(value);
  for (const issue of error?.issues ?? [])
    context.addIssue({ code: 'custom', message: issue.message, path: issue.path });
  return data ?? z.NEVER;
});
