// group_list, group_register: for the main group, whose people own the machine. The host checks it.
import * as z from 'zod';
import { groupRegisterRequest } from '../../../../src/wire.js';
import type { RunContext, Tool } from '../context.js';
import { zodTool } from './zod-tool.js';

const nothing = z.object({});
const registerInput = groupRegisterRequest.omit({ runId: true });

export function groupTools({ host, run, signal }: RunContext): Tool[] {
  if (!run.group.isMain) return [];
  return [
    zodTool({
      name: 'group_list',
      description:
        'List all groups with their chats, and the chats that belong to none. Titles are what people called them.',
      inputSchema: nothing,
      run: () => host.ask('/groups/list', { runId: run.id }, signal),
    }),
    zodTool({
      name: 'group_register',
      description:
        'Ask the owner whether to work in a chat of no group: as a group of that folder, which is made or whose memory it then shares.',
      inputSchema: registerInput,
      run: (input) => host.ask('/groups/register', { ...input, runId: run.id }, signal),
    }),
  ];
}
