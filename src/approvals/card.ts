// What the owner sees of an approval. Pure. What a container wrote is shown whole, in a block of code, with everything invisible in it spelled
// out: nothing in it can look like a part of the card.
import type { Button } from '../channels/channel.js';
import { shownLine } from '../core/one-line.js';
import { visible } from '../core/visible.js';
import type { Approval } from './rows.js';

/** In a card each: the rest of what a person can judge. Longer ones cannot be asked for. */
export const MAX_CONTENT_CHARS = 20_000;

export interface CardFacts {
  /** Who asked: the run, its chat and the person. */
  asker: string | undefined;
  /** Each is a plain line of ours about the action; words of others in it are escaped by whoever made it. */
  lines: string[];
  /** Words of a container or a stranger. */
  content?: string | undefined;
  /** Why it asks although a rule might allow it: what this conversation read. */
  taint?: string | undefined;
}

export function cardDetail({ asker, lines, content, taint }: CardFacts): string {
  return [
    ...lines,
    ...(content === undefined ? [] : [fenced(content)]),
    ...(taint ? [`⚠ ${taint}`] : []),
    ...(asker ? [`Asked by ${asker}.`] : []),
  ].join('\n');
}

/** A fence longer than any in the text. */
export function fenced(content: string): string {
  const longest = Math.max(2, ...[...content.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${visible(content)}\n${fence}`;
}

export const titleOf = ({ id, subject }: Pick<Approval, 'id' | 'subject'>): string =>
  `Approval ${id}: ${shownLine(subject, 300)}`;

export const cardText = (approval: Pick<Approval, 'id' | 'subject' | 'detail' | 'always'>, until: string): string =>
  [
    `**${titleOf(approval)}**`,
    approval.detail,
    '',
    `Answer with 👍 or 👎, or write \`/approve ${approval.id}\` or \`/deny ${approval.id}\`.` +
      (approval.always ? ` \`/approve ${approval.id} always\`: ${approval.always}.` : ''),
    `Without an answer until ${until} it is a no.`,
  ].join('\n');

export const cardButtons = ({ always }: Pick<Approval, 'always'>): Button[] => [
  { label: 'Yes', value: 'allow' },
  ...(always ? [{ label: 'Always', value: 'always' }] : []),
  { label: 'No', value: 'deny' },
];
