// What a run does now, in words for people: the texts of all tools. Pure. What it is made of comes from a container: one line each, cut, without
// what looks like a secret, and nothing in it is a link or a mention.
import { oneLine, shownLine } from '../core/one-line.js';

const MAX_SHOWN = 80;
/** Looking for secrets takes time that grows with the square of it. */
const MAX_LOOKED_AT = 320;

/** The words, and what they are about: as it is written, or as code. */
export interface Step {
  text: string;
  about?: string;
  isCode?: boolean;
}

type Describe = (field: (name: string) => string) => Step;

const fixed =
  (text: string): Describe =>
  () => ({ text });
const ofFile =
  (text: string): Describe =>
  (field) => ({ text, about: field('path').split('/').findLast(Boolean) ?? '' });

const STEPS: Record<string, Describe> = {
  bash: (field) => ({ text: 'Running a command:', about: field('command'), isCode: true }),
  read: ofFile('Reading'),
  write: ofFile('Writing'),
  edit: ofFile('Changing'),
  send_file: ofFile('Sending'),
  glob: fixed('Looking through the files'),
  grep: fixed('Searching in the files'),
  web_fetch: (field) => ({ text: 'Looking at', about: hostOf(field('url')) }),
  web_search: (field) => ({ text: 'Searching the web:', about: field('query') }),
  search_history: fixed('Searching in old messages'),
  send_message: fixed('Writing a message'),
  ask: fixed('Asking a question'),
  todo: fixed('Planning'),
  agent: fixed('Having a part done by a sub-agent'),
  mcp_search: fixed('Looking for a tool'),
  task_list: fixed('Looking at the tasks'),
  task_schedule: fixed('Planning a task'),
  task_update: fixed('Changing a task'),
};

/** Never throws. `input`: JSON, maybe only its beginning. */
export function stepOf(tool: string, input: string): Step {
  const field = (name: string) => fieldOf(input, name);
  const describe = Object.hasOwn(STEPS, tool) ? STEPS[tool] : undefined;
  const { about = '', ...step } = describe?.(field) ?? { text: 'Using', about: tool.replace(/_+/g, ' ') };
  const shown = oneLine(withoutSecrets(about), MAX_SHOWN);
  return { ...step, text: shown === '' ? step.text.replace(/:$/, '') : step.text, ...(shown && { about: shown }) };
}

/** For the page, and for whoever reads plain text. */
export const plainStep = ({ text, about }: Step): string => (about ? `${text} ${about}` : text);

export const markdownStep = ({ text, about, isCode }: Step): string => {
  if (!about) return text;
  return `${text} ${isCode ? `\`${about.replaceAll('`', "'")}\`` : shownWords(about, MAX_SHOWN)}`;
};

/** Words of a model before its answer: shown as they are written, with nothing to click, and nobody is called by them. */
export const shownWords = (text: string, max: number): string =>
  shownLine(text, max).replaceAll('://', ': //').replaceAll('@', '@\u2060');

/** A text of the input, also where its end is cut off. */
function fieldOf(input: string, name: string): string {
  const found = new RegExp(`"${name}"\\s*:\\s*"((?:[^"\\\\]|\\\\.)*)`).exec(input);
  const [, written = ''] = found ?? [];
  try {
    const text: unknown = JSON.parse(`"${written}"`);
    return typeof text === 'string' ? text : '';
  } catch {
    return written.replace(/\\.?/g, ' ');
  }
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname;
  } catch {
    return '';
  }
}

const SECRETS: [RegExp, string][] = [
  [/\b((?:proxy-)?authorization\s*[:=]\s*)[^"'\n]+/gi, '$1…'],
  [/\b((?:bearer|basic)\s+)[^\s"']+/gi, '$1…'],
  [
    /([\w-]*(?:token|secret|passw\w*|passphrase|pwd|key|credentials?|cookie|auth)["']?\s*[=:]\s*)("[^"]*"?|'[^']*'?|[^\s&]+)/gi,
    '$1…',
  ],
  [/((?:^|\s)--?[\w-]*(?:password|passwd|token|secret|key)(?:=|\s+))("[^"]*"?|'[^']*'?|\S+)/gi, '$1…'],
  [/((?:^|\s)(?:-u|--user)(?:=|\s*)["']?[^\s:"']+:)[^\s"']+/g, '$1…'],
  [/(:\/\/)[^\s/@]+@/g, '$1…@'],
  [/\b(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[a-z]|ya29|AKIA|AIza)[-_.A-Za-z0-9]{8,}/g, '…'],
  [/\b(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])\w{24,}/g, '…'],
  [/\b(?=[0-9a-f]*\d)[0-9a-f]{32,}\b/gi, '…'],
];

/** Secrets of this machine never got into a container; what the owner gave the agent in a chat, or what it found, may be in its commands. */
export const withoutSecrets = (text: string): string =>
  SECRETS.reduce((rest, [pattern, put]) => rest.replace(pattern, put), text.slice(0, MAX_LOOKED_AT));
