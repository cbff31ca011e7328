// What `pinch service` does about the services of the owner; it asks the running daemon.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';

const common = {
  name: z.string(),
  description: z.string(),
  groups: z.array(z.string()),
  variables: z.array(z.object({ name: z.string(), set: z.boolean() })),
};
const server = z.object({
  ...{ ...common, kind: z.literal('mcp'), command: z.array(z.string()), host: z.boolean() },
  ...{ state: z.string(), lastError: z.string().nullable() },
  tools: z.array(z.object({ name: z.string(), do: z.string(), readOnly: z.boolean() })),
  withheld: z.array(z.string()),
  isCut: z.boolean(),
});
const api = z.object({
  ...{ ...common, kind: z.literal('http'), url: z.string() },
  auth: z.string().nullable(),
  connected: z.boolean().optional(),
  /** Of one that is an MCP server. */
  server: server.omit({ variables: true }).optional(),
});
const listed = z.object({
  services: z.array(z.discriminatedUnion('kind', [api, server])),
  problems: z.array(z.object({ name: z.string(), why: z.string() })),
});
const tested = z.union([z.object({ method: z.string(), status: z.number() }), server.omit({ variables: true })]);
const kept = z.object({
  method: z.string(),
  url: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});

/** `service list`, `service test <name>`, `service restart <name>`, `service body <approval>`. Throws PinchError. */
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
    throw new PinchError('usage', `which one? \`service ${what}\` takes a ${what === 'body' ? 'number' : 'name'}`);
  if (what === 'restart') {
    await ask(`POST /api/services/${encodeURIComponent(name)}/restart`);
    return `${visible(name)} is ended; it starts when it is needed, or with \`service test ${visible(name)}\``;
  }
  if (what === 'test') {
    const answer = tested.parse(await ask(`POST /api/services/${encodeURIComponent(name)}/test`));
    if ('tools' in answer) return visible(toolLines(answer).join('\n'));
    const { method, status } = answer;
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
  const lines = services.flatMap((one) => {
    const { name, description, groups, variables } = one;
    const missing = variables.filter(({ set }) => !set).map((variable) => variable.name);
    const unset = missing.length > 0 ? `${missing.join(', ')} NOT SET in .env` : undefined;
    const rest = `for ${groups.join(', ')}${description && `  ${description}`}`;
    if (one.kind === 'mcp')
      return [`${name}  ${one.command.join(' ')}  ${unset ?? 'MCP server'}  ${rest}`, ...serverLines(one)];
    const account = one.connected === false ? `  NOT CONNECTED: npm run -s pinch -- connect ${name}` : '';
    const line = `${name}  ${one.url}  ${unset ?? one.auth ?? 'no credential'}${account}  ${rest}`;
    return one.server ? [line, ...serverLines(one.server)] : line;
  });
  const wrong = problems.map(({ name, why }) => `✗ ${name}: ${why}`);
  return visible([...lines, ...wrong].join('\n') || 'no services; docs/services.md shows how to add one');
}

type Server = Omit<z.infer<typeof server>, 'variables'>;

function serverLines(one: Server): string[] {
  const { state, lastError, host, tools } = one;
  const count = tools.length > 0 ? `${tools.length} tools` : 'its tools are not known yet';
  return [
    `  ${state}, ${count}${host ? ', ON THIS MACHINE ITSELF, in no container' : ''}`,
    ...(lastError === null ? [] : [`  ✗ ${lastError}`]),
    ...(tools.length > 0 ? toolLines(one).slice(1) : []),
  ];
}

/** Its tools by what may be done with them. */
function toolLines({ name, tools, withheld, isCut }: Server): string[] {
  const named = (how: string) => tools.filter((tool) => tool.do === how);
  const kinds = ['allow', 'always', 'ask', 'deny'].filter((how) => named(how).length > 0);
  return [
    `${name} works and has ${tools.length} tools`,
    ...kinds.map(
      (how) =>
        `  ${how}: ${named(how)
          .map((tool) => tool.name + (tool.readOnly ? '' : ' (writes)'))
          .join(', ')}`,
    ),
    ...(withheld.length > 0 ? [`  new or changed, wait for your yes: ${withheld.join(', ')}`] : []),
    ...(isCut ? ['  it offers more than Pinch takes, or what are no tools'] : []),
  ];
}
