// Approvals of kind `skill`: what an agent wrote down to obey in every later run. It takes effect after the owner has read it, as it was then:
// a changed file is another skill.
import { skillDigest } from '../core/skill-digest.js';
import { post, type Route } from '../gateway/server.js';
import { type ChatCommand, inGroup } from '../groups/chat-command.js';
import { parse, workingRun } from '../runs/calls.js';
import { taintOf } from '../taint/taint.js';
import { leftOutReport, type OwnSkill, skillProposal } from '../wire.js';
import { type Approvals, agentText } from './approvals.js';
import type { Store } from './store.js';

const input = skillProposal.omit({ runId: true });

export function skillCalls({ store, approvals }: { store: Store; approvals: Approvals }): Route[] {
  const ask = approvals.kind({
    ...{ name: 'skill', input, maxOpen: 3 },
    carryOut({ name, files }, { approval: { groupId } }) {
      if (groupId !== null) store.ownSkills.put(groupId, name, skillDigest(files));
      return `The skill ${name} counts from the next run on.`;
    },
  });
  return [
    post('/skills', (link, body) => {
      const { runId, ...skill } = parse(skillProposal, body);
      const run = workingRun(store, link, runId);
      const digest = skillDigest(skill.files);
      const isKnown = ({ name, digest: known }: OwnSkill) => name === skill.name && known === digest;
      if (store.ownSkills.of(link.groupId).some(isKnown)) return { text: `The skill ${skill.name} counts already.` };
      const folder = store.groups.get(link.groupId)?.folder;
      const approval = ask({
        ...{ groupId: link.groupId, run, taint: taintOf(store, link) },
        subject: `obey the skill ${skill.name} in later runs`,
        lines: [`The agent of \`${folder}\` wrote it for itself. A later change of it asks again.`],
        content: skill.files.map(({ path, text }) => `--- ${path}\n${text}`).join('\n'),
        input: skill,
      });
      return { text: agentText(approval) };
    }),
    post('/skills/left-out', (link, body) => {
      const { runId, skills } = parse(leftOutReport, body);
      workingRun(store, link, runId);
      store.ownSkills.putLeftOut(link.groupId, skills);
      return { text: 'Noted.' };
    }),
  ];
}

export const skillCommands = ({ store }: { store: Store }): ChatCommand[] => [
  {
    usage: '/skills [remove <name>]',
    what: 'what I wrote down for myself here and you have read',
    answer: inGroup(store, ({ id }, { argument }) => {
      const { ownSkills } = store;
      const [action, name = ''] = argument.split(/\s+/);
      if (action === 'remove')
        return ownSkills.remove(id, name) ? 'It counts no more.' : 'There is no such skill here.';
      return (
        ownSkills
          .of(id)
          .map((skill) => `- ${skill.name}`)
          .join('\n') || 'There are none.'
      );
    }),
  },
];
