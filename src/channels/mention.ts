// Names in place of the ids by which platforms mention people. Pure.
import { asSeen, mentionPattern } from '../core/mention.js';
import { oneLine } from '../core/one-line.js';

const MAX_NAME_CHARS = 60;

/** What somebody calls themselves, so that it can stand behind an `@`; '' when nothing is left. */
export const mentionName = (name: string): string => oneLine(name.replace(/[@＠﹫]/g, ' '), MAX_NAME_CHARS);

/** `@Name` for a person who is mentioned in front of `rest`. Whoever is called like the assistant is `@~Name`: it must not be called by that. */
export function mentionOf(name: string, rest: string, assistantName: string): string {
  const label = mentionName(name) || 'someone';
  const written = asSeen(`@${label}${rest.slice(0, 200)}`);
  return mentionPattern(asSeen(assistantName)).exec(written)?.index === 0 ? `@~${label}` : `@${label}`;
}
