// The chat commands about money: /budget, /cost, and /continue, the answer to the loop guard's question.
import { dayName } from '../core/day.js';
import { PinchError } from '../core/errors.js';
import type { Group } from '../core/types.js';
import { type ChatCommand, type CommandCall, inGroup } from '../groups/chat-command.js';
import { readChange } from './amount.js';
import type { Budgets } from './budgets.js';
import { type CostDeps, costsOf, costsText } from './costs.js';
import { goOn, type LoopGuard } from './guard.js';
import { capName } from './rows.js';

export interface BudgetCommandDeps extends CostDeps {
  budgets: Budgets;
  guard: LoopGuard;
}

export function budgetCommands(deps: BudgetCommandDeps): ChatCommand[] {
  const { store } = deps;
  return [
    {
      usage: '/budget [run | day | month | <group>] [<amount> | default] [today | this month]',
      what: 'what may be spent, what is left, and until when; with an amount in US dollars: change it',
      answer: inGroup(store, (group, call) => budget(deps, group, call)),
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
      answer: ({ chat, argument }) => goOn(deps.guard, argument === '' ? chat.id : Number(argument)),
    },
  ];
}

/** In the main group the owner sees the costs of all. */
const scopeOf = ({ isMain, id }: Group): number | null => (isMain ? null : id);

const USAGE =
  'Write `/budget` to see all, or `/budget <amount>` for this group, `/budget <group> <amount>`, `/budget day <amount>` (all groups together), ' +
  '`/budget month <amount>`, `/budget run <amount>`: US dollars, or `default` for what the settings say; `today` or, for the month, `this month` behind ' +
  'it: for that only.';

function budget({ store, budgets, clock, config }: BudgetCommandDeps, group: Group, call: CommandCall): string {
  const { argument } = call;
  const shown = () => budgets.text(group.isMain ? store.groups.all() : [group]);
  if (argument === '') return shown();
  const wanted = readChange(argument);
  if (wanted === undefined) return USAGE;
  if (typeof wanted === 'string') return wanted;
  const { what, microUsd, once } = wanted;
  const dayOf = (at: number) => dayName(at, config.timeZone);
  const writtenOn = dayOf(store.messages.get(call.messageId)?.sentAt ?? clock.now());
  if (once === 'today' && writtenOn !== dayOf(clock.now()))
    return `That came late: it was for ${writtenOn}, which is over. The budget of today began anew.`;
  const known = capName.safeParse(what).data;
  const named = known ? group : store.groups.all().find(({ folder }) => folder.toLowerCase() === what);
  if (!named) throw new PinchError('bad_budget', `there is no group "${what}"`, { hint: '`/budget` names them' });
  budgets.set({ name: known ?? 'group', group: named, microUsd, once });
  return shown();
}
