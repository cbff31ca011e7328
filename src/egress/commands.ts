// The chat commands about egress: /allow and /egress. Both are the owner's.
import { describeError, PinchError } from '../core/errors.js';
import type { Group } from '../core/types.js';
import type { ChatCommand, CommandCall } from '../groups/chat-command.js';
import { egressMode, type Rule } from './rows.js';
import { presetNames, type Rules } from './rules.js';
import type { Store } from './store.js';

export interface EgressCommandDeps {
  store: Store;
  rules: Rules;
}

export function egressCommands(deps: EgressCommandDeps): ChatCommand[] {
  return [
    {
      name: 'allow',
      usage: '/allow <host | *.host | preset> [all]',
      what: `let me reach a site from this group (\`all\`: from every group); presets: ${presetNames.join(', ')}`,
      forMembers: false,
      answer: inGroup(deps, (group, { argument }) => allow(deps, group, argument)),
    },
    {
      name: 'egress',
      usage: '/egress [remove <number> | mode none|listed|ask|open]',
      what: 'the sites I may reach from this group',
      forMembers: false,
      answer: inGroup(deps, (group, { argument }) => egress(deps, group, argument)),
    },
  ];
}

/** What cannot be done is an answer too; anything else that goes wrong is thrown. */
function inGroup({ store }: EgressCommandDeps, answer: (group: Group, call: CommandCall) => string) {
  return (call: CommandCall): string => {
    const group = call.chat.groupId === null ? undefined : store.groups.get(call.chat.groupId);
    if (!group) return 'This chat belongs to no group yet: `/register <folder>` first.';
    try {
      return answer(group, call);
    } catch (error) {
      if (error instanceof PinchError) return describeError(error);
      throw error;
    }
  };
}

function allow({ rules }: EgressCommandDeps, group: Group, argument: string): string {
  const [host = '', all, ...more] = argument.split(/\s+/);
  if (host === '' || more.length > 0 || (all !== undefined && all.toLowerCase() !== 'all'))
    return 'Write `/allow example.com`, `/allow *.example.com`, or the name of a preset; `all` behind it is for every group.';
  const added = rules.add(all ? null : group.id, { host });
  return `Allowed ${all ? 'for every group' : `for the group \`${group.folder}\``}: ${added.map(shown).join(', ')}.`;
}

function egress({ store }: EgressCommandDeps, group: Group, argument: string): string {
  const [action = '', value = ''] = argument.toLowerCase().split(/\s+/);
  const listed = store.egress.of(group.id);
  if (action === 'mode') {
    const mode = egressMode.safeParse(value);
    if (!mode.success) return `Write \`/egress mode\` and one of ${egressMode.options.join(', ')}.`;
    store.egress.setMode(group.id, mode.data);
    return MODES[mode.data];
  }
  if (action === 'remove') {
    const rule = listed.find(({ id }) => `${id}` === value);
    if (!rule) return `There is no rule \`${value.slice(0, 20)}\` here; \`/egress\` has the numbers.`;
    store.egress.remove(rule.id);
    return `Removed: ${shown(rule)}. Connections that are open stay open.`;
  }
  const lines = listed.map((rule) => `- ${rule.id}: ${shown(rule)}${rule.groupId === null ? ', for every group' : ''}`);
  return [MODES[store.egress.mode(group.id)], ...(lines.length > 0 ? lines : ['No rules yet.'])].join('\n');
}

const MODES = {
  none: 'Mode `none`: I reach nothing from here, whatever the rules say.',
  listed: 'Mode `listed`: I reach what the rules name, and hosts in links that people who may ask me write.',
  ask: 'Mode `ask`: I reach what the rules name, and hosts in links that people who may ask me write; for others write `/allow <host>`.',
  open: 'Mode `open`: I reach every public site.',
};

function shown({ host, ports, address }: Pick<Rule, 'host' | 'ports' | 'address'>): string {
  return `\`${host}\`${ports ? ` (ports ${ports.join(', ')})` : ''}${address ? ` at ${address}` : ''}`;
}
