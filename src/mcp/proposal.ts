// A service that an agent proposes: checked as services.json is, and what it means in words for the owner's card. Pure but for which variables are set.
import { PinchError } from '../core/errors.js';
import { shownLine } from '../core/one-line.js';
import { readService, type Service, variablesOf } from '../services/list.js';
import { type McpServer, serverVariables } from '../services/servers.js';
import type { Services } from '../services/services.js';

/** Credentials of Pinch itself are for no service: of the model, and of its channels, also those that skills add. */
const OWN = /^(ANTHROPIC|PINCH|TELEGRAM|WHATSAPP|DISCORD|SLACK|EMAIL|XMPP)_/;

interface Variable {
  name: string;
  set: boolean;
}
export interface Proposal {
  name: string;
  service: Omit<Service, 'name'> | Omit<McpServer, 'name'>;
  /** As it will stand in services.json. */
  text: string;
  variables: Variable[];
}

/** Throws PinchError that says what is wrong with it. */
export function readProposal(
  { isSet, hasName }: Pick<Services, 'isSet' | 'hasName'>,
  { name, config }: { name: string; config: string },
): Proposal {
  const value = parseJson(config);
  const service = readService(name, value);
  if ('why' in service) throw new PinchError('bad_service', `this is no service: ${service.why}`);
  if (hasName(name))
    throw new PinchError('name_taken', `there is a service "${name}" already`, { hint: 'take another name' });
  const names = service.kind === 'http' ? variablesOf(service) : serverVariables(service);
  const own = names.find((one) => OWN.test(one));
  if (own) throw new PinchError('bad_service', `${own} is Pinch's own, no service is given it`);
  const variables = names.map((one) => ({ name: one, set: isSet(one) }));
  return { name, service, text: JSON.stringify(value, null, 2), variables };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PinchError('bad_service', `this is no JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

export function proposalLines(folder: string, { name, service, variables }: Proposal): string[] {
  const code = (words: string[]) => words.map((word) => `\`${shownLine(word, 200)}\``).join(', ');
  const given = variables.map(({ name: one, set }) => `\`${one}\`${set ? '' : ' (not set yet)'}`).join(', ');
  const about =
    service.kind === 'http'
      ? [`It is an API at ${shownLine(service.url.href, 300)}; its credential is put in on this machine.`]
      : serverLines(service, code);
  return [
    `The agent of \`${folder}\` proposes the service \`${name}\` for the groups ${code(service.groups)}. Your yes writes it into services.json, and it counts at once.`,
    ...about,
    given ? `It is given the values of these variables of .env: ${given}.` : 'It is given no variable of .env.',
    ...(service.trusted ? ['⚠ What it answers counts as your own data.'] : []),
    'All of it:',
  ];
}

function serverLines(
  { host, packages, program, command, egress }: Omit<McpServer, 'name'>,
  code: (words: string[]) => string,
) {
  const places = egress.flatMap((place) =>
    place.ports.map(
      (port) => `${place.host}:${port}${'address' in place && place.address ? ` at ${place.address}` : ''}`,
    ),
  );
  return [
    host
      ? '⚠ IT RUNS ON THIS MACHINE ITSELF, WITH ALL YOUR RIGHTS, AND NOT IN A CONTAINER.'
      : 'It runs in a sealed container of its own.',
    `It runs ${code([command.join(' ')])}${packages.length > 0 ? ` of the npm packages ${code(packages)}` : ''}${program ? ` with the files in ${code([program])}` : ''}.`,
    host || places.length > 0
      ? `It reaches ${host ? 'whatever this machine reaches' : code(places)}.`
      : 'It reaches nothing outside.',
  ];
}
