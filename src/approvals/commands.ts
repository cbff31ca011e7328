// The chat commands about approvals, all the owner's; and answers to a card itself.
import { type ChatCommand, type CommandCall, saying } from '../groups/chat-command.js';
import type { Press } from '../groups/press.js';
import { type Approvals, approvalOfCard, type Decision } from './approvals.js';
import { titleOf } from './card.js';
import type { Store } from './store.js';

export function approvalCommands({ store, approvals }: { store: Store; approvals: Approvals }): ChatCommand[] {
  const answer =
    (decision: Decision['decision']) =>
    ({ argument, chat }: CommandCall): string => {
      const [, id, always] = /^#?(\d{1,15})(\s+always)?$/i.exec(argument) ?? [];
      if (!id) return `Write \`/${decision === 'allow' ? 'approve' : 'deny'}\` and the number of an approval.`;
      const scope = always ? 'always' : 'once';
      return saying(() => approvals.decide(Number(id), { decision, scope, by: 'the owner', chatId: chat.id }));
    };
  return [
    {
      usage: '/approvals',
      what: 'what I may not do without you, and ask you for',
      inShort: 'what waits for your yes or no',
      answer: () => {
        const open = store.approvals.list('open', 50);
        return open.map((one) => `- ${titleOf(one)}`).join('\n') || 'Nothing waits for your answer.';
      },
    },
    {
      usage: '/approve <number> [always]',
      what: 'say yes to what I asked you',
      answer: answer('allow'),
    },
    { usage: '/deny <number>', what: 'say no to it', answer: answer('deny') },
  ];
}

const MEANS: Record<string, Pick<Decision, 'decision' | 'scope'>> = {
  ...Object.fromEntries(['allow', 'yes', 'ok', '👍'].map((word) => [word, { decision: 'allow' }])),
  always: { decision: 'allow', scope: 'always' },
  ...Object.fromEntries(['deny', 'no', '👎'].map((word) => [word, { decision: 'deny' }])),
};

/** A button, a reaction or a short answer to a card; undefined when it is none, or not the owner's. */
export function createCardAnswers({ store, approvals }: { store: Store; approvals: Approvals }) {
  return ({ key, value, chat, isOwner }: Press) => {
    const id = approvalOfCard(key);
    const means = MEANS[value];
    if (id === undefined || !means || !isOwner) return undefined;
    const text = saying(() => approvals.decide(id, { ...means, by: 'the owner', chatId: chat.id }));
    // While everything is stopped, say.
    return { text, again: store.approvals.get(id)?.state === 'open' };
  };
}
