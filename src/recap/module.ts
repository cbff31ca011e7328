// `/recap`, GET /api/recap and `pinch recap`: one answer in the chat, on the page and in the terminal.
import type { Hono } from 'hono';
import { z } from 'zod';
import { parse } from '../core/http.js';
import { type ChatCommand, type CommandCall, inGroup } from '../groups/chat-command.js';
import { hoursOf, MOST_HOURS } from './hours.js';
import { type RecapDeps, recapOf, type Seen } from './recap.js';
import { CHAT_WORDS, recapText, sumText, TERMINAL_WORDS } from './text.js';

export function createRecap(deps: RecapDeps) {
  const { store } = deps;
  const recap: ChatCommand = {
    usage: '/recap [<number>h | <number>d]',
    what: 'what I did since yesterday evening, or in so many hours or days: what it cost, what failed and why, what waits for you',
    inShort: 'what I did since yesterday evening',
    forMembers: true,
    answer: inGroup(store, (group, { argument, byOwner, chat }: CommandCall) => {
      const hours = argument === '' ? undefined : hoursOf(argument);
      if (argument !== '' && hours === undefined) return 'Write `/recap`, `/recap 12h` or `/recap 3d`.';
      const ofOwner: Seen = group.isMain ? { kind: 'all' } : { kind: 'group', group };
      const seen: Seen = byOwner ? ofOwner : { kind: 'chat', chatId: chat.id };
      return recapText(recapOf(deps, seen, hours), { ...CHAT_WORDS, mayAct: byOwner });
    }),
  };
  return { commands: [recap], api: recapApi(deps) };
}

const query = z.object({ hours: z.coerce.number().int().min(1).max(MOST_HOURS).optional() });

const recapApi = (deps: RecapDeps) => (app: Hono) =>
  app.get('/api/recap', (c) => {
    const recap = recapOf(deps, { kind: 'all' }, parse(query, c.req.query()).hours);
    return c.json({ ...recap, sum: sumText(recap), text: recapText(recap, TERMINAL_WORDS) });
  });
