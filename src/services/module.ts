// Services: APIs that agents use through the host, with credentials of the owner that no container sees.

import { z } from 'zod';
import type { Approvals } from '../approvals/approvals.js';
import type { Clock } from '../core/clock.js';
import { post, type Route } from '../gateway/server.js';
import type { PromptPart } from '../groups/prompt-part.js';
import type { Guards } from '../secrets/guards.js';
import { aboutTokens, GATEWAY_PORT, type RunSpec, serviceLine, servicesHead, webSearchTool } from '../wire.js';
import { servicesApi } from './api.js';
import { createServiceAsker } from './ask.js';
import { createDoor } from './door.js';
import type { Service } from './list.js';
import type { McpServer } from './servers.js';
import { createServices, type ServicesDeps } from './services.js';
import type { Store } from './store.js';

interface ServiceModuleDeps extends ServicesDeps {
  store: Store;
  clock: Clock;
  approvals: Approvals;
  guards: Guards;
}

export function createServiceModule(deps: ServiceModuleDeps) {
  const services = createServices(deps);
  const all = { ...deps, services };
  const routes: Route[] = [
    createDoor({ ...all, askOwner: createServiceAsker(all) }),
    post('/services/list', ({ groupId }) => ({
      text: services.of(groupId).map(describe).join('\n\n') || 'There is none for this group.',
    })),
  ];
  return {
    routes,
    services,
    api: (viewServer: (server: McpServer) => object) => servicesApi({ ...all, viewServer }),
    /** What a runner is told of them. */
    forRun: (groupId: number): RunSpec['services'] =>
      services
        .of(groupId)
        .filter(({ search }) => search === undefined)
        .map(({ name, description, git, url }) => ({ name, description, ...(git && { gitUrl: url.href }) })),
    promptParts: (): PromptPart[] => promptParts(services.list().services.filter(({ mcp }) => !mcp)),
    /** The group's search engine: the first one listed. */
    searchFor: (groupId: number): RunSpec['search'] => {
      const found = services
        .of(groupId)
        .flatMap(({ name, search }) => (search ? { service: name, engine: search } : []));
      return found[0];
    },
  };
}

/** What each adds to the prompt of its groups; the heading once, when there is any line. */
function promptParts(services: Service[]): PromptPart[] {
  const tool = JSON.stringify({ ...webSearchTool, inputSchema: z.toJSONSchema(webSearchTool.inputSchema) });
  const part = (service: Service): PromptPart => {
    const { name, kind, groups, search } = service;
    const tokens = aboutTokens(search ? tool : `\n${serviceLine(service)}`);
    return { name, kind, groups, adds: search ? 'the tool web_search' : 'a line', tokens };
  };
  const listed = services.filter(({ search }) => !search).flatMap(({ groups }) => groups);
  const head = {
    name: 'services',
    kind: 'heading',
    adds: 'once, before their lines',
    tokens: aboutTokens(servicesHead),
  };
  return [...(listed.length > 0 ? [{ ...head, groups: [...new Set(listed)] }] : []), ...services.map(part)];
}

/** For the agent: nothing of the owner's origin or credential. */
function describe({ name, description, git, search, rules, otherwise }: Service): string {
  const words = rules.map(({ method, path, query = {}, do: effect, always }) => {
    const only = Object.entries(query).map(([key, value]) => `${key}=${value}`);
    return `  ${effect} ${method.join(', ')} ${path}${only.length > 0 ? ` with ${only.join('&')}` : ''}${always ? ', always' : ''}`;
  });
  const rest = otherwise
    ? `  ${otherwise} everything else`
    : '  else: GET and HEAD are allowed, the rest asks the owner';
  const lines = [`${name}: ${description}`, `  http://127.0.0.1:${GATEWAY_PORT}/service/${name}/`, ...words, rest];
  const uses = [git && '  git uses it by itself', search && '  the tool web_search uses it by itself'];
  return [...lines, ...uses.filter(Boolean)].join('\n');
}
