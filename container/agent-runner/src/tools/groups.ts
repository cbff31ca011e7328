// group_list, group_register: for the main group, whose people own the machine. The host checks it.
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import * as z from 'zod';
import { groupRegisterRequest } from '../../../../src/wire.js';
import type { RunContext, Tool } from '../context.js';

export function groupTools({ host, run, signal }: RunContext): Tool[] {
  if (!run.group.isMain) return [];
  return [
    betaZodTool({
      name: 'group_list',
      description:
        'List all groups with their chats, and the chats that belong to none. Titles are what people called them.',
      inputSchema: z.object({}),
      run: () => host.ask('/groups/list', { runId: run.id }, signal),
    }),
    betaZodTool({
      name: 'group_register',
      description:
        'Ask the owner whether to work in a chat of no group: as a group of that folder, which is made or whose memory it then shares.',
      inputSchema: groupRegisterRequest.omit({ runId: true }),
      run: (input) => host.ask('/groups/register', { ...input, runId: run.id }, signal),
    }),
  ];
}
