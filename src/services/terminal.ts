// What `pinch service` does about the services of the owner; it asks the running daemon.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';

const listed = z.object({
  services: z.array(
    z.object({
      ...{
        name: z.string(),
        url: z.string(),
        description: z.string(),
        groups: z.array(z.string()),
        auth: z.string().nullable(),
      },
      connected: z.boolean().optional(),
      variables: z.array(z.object({ name: z.string(), set: z.boolean() })),
    }),
  ),
  problems: z.array(z.object({ name: z.string(), why: z.string() })),
});
const tested = z.object({ method: z.string(), status: z.number() });
const kept = z.object({
  method: z.string(),
  url: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});

/** `service list`, `service test <name>`, `service body <approval>`. Throws PinchError. */
export async function runServices(
  ask: (call: string) => Promise<unknown>,
  what: string,
  name: string | undefined,
  json: boolean,
) {
  if (what === 'list') {
    const answer = await ask('GET /api/services');
    return json ? JSON.stringify(answer, null, 2) : showList(listed.parse(answer));
  }
  if (!name)
    throw new PinchError('usage', `which one? \`service ${what}\` takes a ${what === 'test' ? 'name' : 'number'}`);
  if (what === 'test') {
    const { method, status } = tested.parse(await ask(`POST /api/services/${encodeURIComponent(name)}/test`));
    const fits =
      status < 400
        ? 'it works'
        : status === 401 || status === 403
          ? 'it does not take the credential'
          : 'look whether its url is right';
    return `${name} answers a ${method} with status ${status}: ${fits}`;
  }
  const { method, url, headers, body } = kept.parse(
    await ask(`GET /api/services/requests/${encodeURIComponent(name)}`),
  );
  const lines = Object.entries(headers).map(([header, value]) => `${header}: ${value}`);
  return visible([`${method} ${url}`, ...lines, '', Buffer.from(body, 'base64').toString()].join('\n'));
}

function showList({ services, problems }: z.infer<typeof listed>): string {
  const lines = services.map(({ name, url, description, groups, auth, connected, variables }) => {
    const missing = variables.filter(({ set }) => !set).map((one) => one.name);
    const how = missing.length > 0 ? `${missing.join(', ')} NOT SET in .env` : (auth ?? 'no credential');
    const account = connected === false ? `  NOT CONNECTED: npm run -s pinch -- connect ${name}` : '';
    return `${name}  ${url}  ${how}${account}  for ${groups.join(', ')}${description && `  ${description}`}`;
  });
  const wrong = problems.map(({ name, why }) => `✗ ${name}: ${why}`);
  return visible([...lines, ...wrong].join('\n') || 'no services; docs/services.md shows how to add one');
}
