// MCP servers: programs that bring agents tools, run by Pinch with credentials of the owner that no agent's container sees.
import { join } from 'node:path';
import type { Approvals } from '../approvals/approvals.js';
import { atMost } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import type { PromptPart } from '../groups/prompt-part.js';
import type { Guards } from '../secrets/guards.js';
import type { Secrets } from '../secrets/secrets.js';
import type { McpServer } from '../services/servers.js';
import type { Services } from '../services/services.js';
import { aboutTokens, type RunSpec } from '../wire.js';
import { mcpApi } from './api.js';
import { createMcpAsker } from './ask.js';
import type { createBoxOpener } from './boxes.js';
import { mcpCalls } from './calls.js';
import { createHttpTransport } from './http.js';
import { createParser } from './parse.js';
import { type ServerProcess, startHostProcess } from './process.js';
import type { KnownTool } from './rows.js';
import { createServers } from './servers.js';
import type { Store } from './store.js';
import { apiTool, definitionOf, ruleOf } from './tools.js';
import { createTransport } from './transport.js';

export interface McpModuleDeps extends LoopDeps {
  store: Store;
  config: Config;
  approvals: Approvals;
  services: Services;
  guards: Guards;
  secrets: Pick<Secrets, 'clean'>;
  stopSwitch: { stopped(): boolean };
  boxes: ReturnType<typeof createBoxOpener>;
}

/** How long servers may take to end when Pinch does, and how long the engine may take to remove those that do not. */
const [END_MS, KILL_MS] = [2_500, 1_000];

export function createMcpModule(deps: McpModuleDeps) {
  const { clock, services, stopSwitch, notifyOwner, boxes } = deps;
  const parser = createParser(clock);
  let isOver = false;
  const startServer = async (server: McpServer, over: AbortSignal): Promise<ServerProcess> => {
    const env = services.envOf(server);
    return server.host ? startOnHost(deps, server, env, over) : boxes.openBox(server, env, over);
  };
  const open = async (server: McpServer, over: AbortSignal) => {
    if (server.url) return createHttpTransport({ service: services.named(server.name), services, clock, parser });
    if (server.host) notifyOwner(`mcp-host:${server.name}`, hostNotice(server.name));
    return createTransport({ process: await startServer(server, over), clock, parser });
  };
  const servers = createServers({ ...deps, open, stopped: () => isOver || stopSwitch.stopped() });
  const asker = createMcpAsker({ ...deps, servers });
  servers.onChanges(asker.tools);
  const view = (server: McpServer) => {
    const { name, kind, description, groups, packages, command, egress, host, trusted } = server;
    const known = servers.tools(server) ?? [];
    const tools = known.map((tool) => ({
      ...{ name: tool.name, do: ruleOf(server.tools, tool.name) },
      readOnly: definitionOf(tool).annotations.readOnlyHint === true,
    }));
    const about = { name, kind, description, groups, packages, command, egress, host, trusted };
    return { ...about, ...servers.state(server), tools };
  };
  return {
    routes: mcpCalls({ ...deps, servers, asker }),
    api: mcpApi({ servers, services, view }),
    view,
    /** What a runner is told of them. */
    forRun: (groupId: number): RunSpec['mcp'] =>
      servers.of(groupId).map(({ name, description }) => ({ name, description })),
    promptParts: (): PromptPart[] =>
      services.servers().map((server) => promptPart(server, servers.tools(server) ?? [])),
    /** The emergency stop: they are killed. */
    async killAll(): Promise<void> {
      await Promise.all([servers.stopAll(), boxes.killAll()]);
    },
    running: servers.running,
    /** For good. They may end by themselves, but not for long, and what is being installed is not waited for. */
    async stop(): Promise<void> {
      isOver = true;
      await atMost(clock, END_MS, servers.stopAll());
      await atMost(clock, KILL_MS, boxes.killAll());
      parser.close();
    },
  };
}

async function startOnHost(
  deps: McpModuleDeps,
  server: McpServer,
  env: Record<string, string>,
  over: AbortSignal,
): Promise<ServerProcess> {
  const { config, clock, boxes } = deps;
  const hasFiles = server.packages.length > 0 || server.program !== undefined;
  const folder = hasFiles ? await boxes.installServer(server, over) : undefined;
  over.throwIfAborted();
  const dir = join(config.dataDir, 'mcp', server.name, 'data');
  return startHostProcess({ command: server.command, env, folder, dir }, clock);
}

/** Of long lists the runner shows none in the prompt: they are searched. */
function promptPart(server: McpServer, known: KnownTool[]): PromptPart {
  const used = known.filter(({ name }) => ruleOf(server.tools, name) !== 'deny');
  const chars = used.map((tool) => JSON.stringify(apiTool(tool.name, server.name, definitionOf(tool))).length);
  const { name, kind, groups } = server;
  const tokens = aboutTokens('x'.repeat(chars.reduce((sum, one) => sum + one, 0)));
  const adds =
    known.length === 0 ? 'its tools are not known yet' : `${used.length} tools, of which those that fit are listed`;
  return { name, kind, groups, adds, tokens };
}

const hostNotice = (name: string): string =>
  `The MCP server \`${name}\` runs on this machine itself (\`"host": true\`), with all that you may do here: no container holds it back. ` +
  'Without that line in services.json it runs in a sealed container.';
