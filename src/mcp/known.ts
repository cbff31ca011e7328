// Which tools of a server may be used: what a configuration first offers is taken; what is new or changed afterwards waits for the owner's yes.
import { createHash } from 'node:crypto';
import type { McpServer } from '../services/servers.js';
import type { KnownTool } from './rows.js';
import type { Store } from './store.js';
import type { Offer, ServerTool } from './tools.js';

/** A tool that the owner has not said yes to; `before`: what it was when he did. */
export interface Change {
  tool: ServerTool;
  before: KnownTool | undefined;
}

export function createKnown(store: Pick<Store, 'mcpTools' | 'transaction'>) {
  const { mcpTools } = store;
  /** Of what servers offered last. */
  const withheld = new Map<string, { changes: Change[]; isCut: boolean }>();
  return {
    /** Returns what needs a yes. */
    take(server: McpServer, { tools, isCut }: Offer): Change[] {
      const changes = store.transaction(() => takeOffer(mcpTools, server, tools));
      withheld.set(server.name, { changes, isCut });
      return changes;
    },
    /** Those that may be used; undefined while nobody has seen a list of this configuration. */
    of: (server: McpServer): KnownTool[] | undefined =>
      mcpTools.configurationOf(server.name) === configurationOf(server)
        ? mcpTools.of(server.name).filter(({ offered }) => offered)
        : undefined,
    /** The owner said yes to them. What the server offers by now may be something else again: that waits. */
    accept(server: McpServer, tools: ServerTool[]): void {
      const last = withheld.get(server.name);
      const isOffered = (digest: string) => !last || last.changes.some(({ tool }) => tool.digest === digest);
      store.transaction(() => {
        for (const tool of tools) {
          mcpTools.put({ service: server.name, ...tool });
          mcpTools.setOffered(server.name, tool.name, isOffered(tool.digest));
        }
      });
      const isTaken = ({ tool }: Change) => tools.some(({ digest }) => digest === tool.digest);
      if (last) last.changes = last.changes.filter((change) => !isTaken(change));
    },
    /** Names of those that wait, and whether the server offers more than is looked at. */
    state({ name }: McpServer): { withheld: string[]; isCut: boolean } {
      const { changes = [], isCut = false } = withheld.get(name) ?? {};
      return { withheld: changes.map(({ tool }) => tool.name), isCut };
    },
  };
}

/** What decides which tools there are. Whoever changes it wants what it brings. */
export function configurationOf({ packages, program, command, env, host }: McpServer): string {
  return hash([packages, program ?? null, command, env, host]);
}

export const hash = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** Records what is offered; returns what needs a yes. In the caller's transaction. */
function takeOffer(mcpTools: Store['mcpTools'], server: McpServer, tools: ServerTool[]): Change[] {
  const configuration = configurationOf(server);
  if (mcpTools.configurationOf(server.name) !== configuration) {
    mcpTools.forget(server.name);
    for (const tool of tools) mcpTools.put({ service: server.name, ...tool });
    mcpTools.setConfiguration(server.name, configuration);
    return [];
  }
  const known = new Map(mcpTools.of(server.name).map((tool) => [tool.name, tool]));
  const offered = new Map(tools.map((tool) => [tool.name, tool.digest]));
  for (const { name, digest } of known.values()) mcpTools.setOffered(server.name, name, offered.get(name) === digest);
  return tools
    .filter(({ name, digest }) => known.get(name)?.digest !== digest)
    .map((tool) => ({ tool, before: known.get(tool.name) }));
}
