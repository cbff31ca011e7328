// The chat commands about money: /budget, /cost, and /continue, the answer to the loop guard's question.
import { PinchError } from '../core/errors.js';
import type { Group } from '../core/types.js';
import { type ChatCommand, inGroup } from '../groups/chat-command.js';
import type { Budgets } from './budgets.js';
import { type CostDeps, costsOf, costsText } from './costs.js';
import type { LoopGuard } from './guard.js';
import { capName } from './rows.js';

export interface BudgetCommandDeps extends CostDeps {
  budgets: Budgets;
  guard: LoopGuard;
}

export function budgetCommands(deps: BudgetCommandDeps): ChatCommand[] {
  const { store } = deps;
  return [
    {
      usage: '/budget [run | day | month | <group>] [<amount> | default] [today]',
      what: 'what may be spent, what is left, and until when; with an amount in US dollars: change it',
      answer: inGroup(store, (group, { argument }) => budget(deps, group, argument)),
    },
    {
      usage: '/cost',
      what: 'what was spent, by group, model, task and day',
      inShort: 'what was spent today and this month',
      forMembers: true,
      answer: inGroup(store, (group, { byOwner }) => costsText(costsOf(deps, byOwner ? scopeOf(group) : group.id))),
    },
    {
      usage: '/continue [<chat>]',
      what: 'let me go on in a chat where I paused myself, because my work there cost money and led to nothing',
      answer: ({ chat, argument }) =>
        deps.guard.release(argument === '' ? chat.id : Number(argument))
          ? 'I go on there.'
          : 'Nothing is paused there. `/status` names the chats that are.',
    },
  ];
}

/** In the main group the owner sees the costs of all. */
const scopeOf = ({ isMain, id }: Group): number | null => (isMain ? null : id);

const USAGE =
  'Write `/budget` to see all, or `/budget <amount>` for this group, `/budget <group> <amount>`, `/budget day <amount>` (all groups together), ' +
  '`/budget month <amount>`, `/budget run <amount>`: US dollars, or `default` for what the settings say; `today` behind it: for today only.';

function budget({ store, budgets }: BudgetCommandDeps, group: Group, argument: string): string {
  const shown = () => budgets.text(group.isMain ? store.groups.all() : [group]);
  if (argument === '') return shown();
  const match = /^(?:([a-z0-9][a-z0-9_-]*)\s+)?(?:\$?(\d{1,6}(?:[.,]\d{1,6})?)|default)(\s+today)?$/i.exec(argument);
  if (!match) return USAGE;
  const [, what = 'group', amount, today] = match;
  const known = capName.safeParse(what.toLowerCase()).data;
  const named = known ? group : store.groups.all().find(({ folder }) => folder === what.toLowerCase());
  if (!named) throw new PinchError('bad_budget', `there is no group "${what}"`, { hint: '`/budget` names them' });
  const microUsd = amount === undefined ? null : Math.round(Number(amount.replace(',', '.')) * 1e6);
  budgets.set({ name: known ?? 'group', group: named, microUsd, today: today !== undefined });
  return shown();
}
