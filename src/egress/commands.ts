// The chat commands about egress: /allow and /egress. Both are the owner's.
import type { Clock } from '../core/clock.js';
import { type Config, egressMode } from '../core/config.js';
import type { Group } from '../core/types.js';
import { type ChatCommand, inGroup } from '../groups/chat-command.js';
import { addRules, describeRule, presetNames } from './rules.js';
import type { Store } from './store.js';

type CommandDeps = { store: Store; config: Pick<Config, 'egressMode'>; clock: Clock };

export function egressCommands(deps: CommandDeps): ChatCommand[] {
  const { store } = deps;
  return [
    {
      usage: '/allow <host | *.host | preset> [all]',
      what: `let me reach a site from this group (\`all\`: from every group); presets: ${presetNames.join(', ')}`,
      answer: inGroup(store, (group, { argument }) => allow(deps, group, argument)),
    },
    {
      usage: '/egress [remove <number> | mode none|listed|ask|open|default]',
      what: 'the sites I may reach from this group',
      answer: inGroup(store, (group, { argument }) => egress(deps, group, argument)),
    },
  ];
}

function allow(deps: CommandDeps, group: Group, argument: string): string {
  const [, host, all] = /^(\S+)(\s+all)?$/i.exec(argument) ?? [];
  if (!host)
    return 'Write `/allow example.com`, `/allow *.example.com`, or a preset; `all` behind it: for every group.';
  const added = addRules(deps, all ? null : group.id, { host });
  return `Allowed for ${all ? 'every group' : `the group \`${group.folder}\``}: ${added.map(describeRule).join(', ')}.`;
}

function egress({ store, clock, config }: CommandDeps, group: Group, argument: string): string {
  const [action, value = ''] = argument.toLowerCase().split(/\s+/);
  const rules = store.egress.of(group.id, clock.now());
  const mode = value === 'default' ? null : egressMode.safeParse(value).data;
  if (action === 'mode' && mode !== undefined) {
    store.egress.setMode(group.id, mode);
    return MODES[store.egress.mode(group.id, config)];
  }
  const rule = rules.find(({ id }) => `${id}` === value);
  if (action === 'remove' && rule) {
    store.egress.remove(rule.id);
    return `Removed: ${describeRule(rule)}. Connections that are open stay open.`;
  }
  if (action)
    return 'Write `/egress remove` and a number that `/egress` shows, or `/egress mode none|listed|ask|open|default`.';
  const lines = rules.map(
    (one) => `- ${one.id}: ${describeRule(one)}${one.groupId === null ? ', for every group' : ''}`,
  );
  const more = lines.length > MOST_RULES ? [`… and ${lines.length - MOST_RULES} more: \`pinch egress --all\``] : [];
  return [MODES[store.egress.mode(group.id, config)], ...lines.slice(0, MOST_RULES), ...more].join('\n');
}

/** They fit into a message. */
const MOST_RULES = 40;

const REACHED = 'I reach what the rules name, and hosts in links that people who may ask me write';
const MODES = {
  none: 'Mode `none`: I reach nothing from here, whatever the rules say.',
  listed: `Mode \`listed\`: ${REACHED}.`,
  ask: `Mode \`ask\`: ${REACHED}; for others I ask you.`,
  open: 'Mode `open`: I reach every public site on the ports 80 and 443; after I read what nobody vouched for, I ask first.',
};
