// What the owner's rules say about a call. Pure. Of all rules that fit, the strictest counts: deny before ask before allow, whatever their order.
import type { SearchEngine } from '../wire.js';
import { paramProblem, type Target } from './path.js';

export const DO = ['deny', 'ask', 'allow'] as const;
export type Do = (typeof DO)[number];

export interface Rule {
  /** One or several; `*`: every method. */
  method: string[];
  /** `*` stands for a part of one segment, `**` for any number of segments. */
  path: string;
  /** Parameters that must be there, as patterns with `*`. */
  query?: Record<string, string> | undefined;
  do: Do;
  /** An `allow` that counts also after the agent read what nobody trusted. */
  always?: boolean | undefined;
}

export interface ServiceRules {
  rules: Rule[];
  /** For what no rule names; without it GET and HEAD are allowed and the rest is asked. */
  otherwise?: Do | undefined;
  git?: boolean | undefined;
  search?: SearchEngine | undefined;
}

export type Verdict = { do: Do; why: string } | { do: 'refuse'; why: string };

/** Whether the method, or what stands in for it, changes nothing at the service. */
export const isReading = ({ git, search }: ServiceRules, method: string, path: string): boolean =>
  /^(GET|HEAD)$/.test(method) ||
  (method === 'POST' && git === true && path.endsWith('/git-upload-pack')) ||
  (method === 'POST' && search === 'tavily' && path === '/search');

export function decideCall(service: ServiceRules, method: string, target: Target, tainted: boolean): Verdict {
  const fitting = service.rules.filter((rule) => fits(rule, method, target.path));
  for (const name of new Set(fitting.flatMap(({ query = {} }) => Object.keys(query)))) {
    const problem = paramProblem(target.params, name);
    if (problem) return { do: 'refuse', why: problem };
  }
  const rules = fitting.filter((rule) => fitsQuery(rule, target));
  const reads = isReading(service, method, target.path);
  const said = DO.find((one) => rules.some((rule) => rule.do === one));
  const verdict = said ?? service.otherwise ?? (reads ? 'allow' : 'ask');
  const isAlways = rules.some((rule) => rule.do === 'allow' && rule.always);
  if (verdict === 'allow' && tainted && !reads && !isAlways) return { do: 'ask', why: 'tainted' };
  return { do: verdict, why: said ? 'rule' : 'no rule' };
}

function fits({ method, path, do: effect }: Rule, called: string, at: string): boolean {
  if (!method.includes('*') && !method.includes(called)) return false;
  if (effect === 'allow') return fitsPath(path, at);
  // A server may not tell `/Admin/` from `/admin`: what forbids is read the wide way, what allows the narrow way.
  const wide = (text: string) => text.toLowerCase().replace(/\/$/, '');
  return fitsPath(wide(path), wide(at));
}

function fitsQuery({ query = {}, do: effect }: Rule, { params }: Target): boolean {
  const wide = (text: string) => (effect === 'allow' ? text : text.toLowerCase());
  return Object.entries(query).every(([name, pattern]) => {
    const given = params.find(([other]) => other === name);
    return given !== undefined && fitsText(wide(pattern), wide(given[1]));
  });
}

/** `/a/**` is `/a` and all below it. */
const fitsPath = (pattern: string, path: string): boolean =>
  matches('**', pattern.split('/'), path.split('/'), fitsText);
const fitsText = (pattern: string, text: string): boolean =>
  matches('*', [...pattern], [...text], (one, other) => one === other);

/** `star` stands for any number of items. Not a regular expression: a container that chooses the text could have one work for minutes. */
function matches(
  star: string,
  pattern: string[],
  items: string[],
  isSame: (one: string, other: string) => boolean,
): boolean {
  let [at, item, lastStar, from] = [0, 0, -1, 0];
  while (item < items.length) {
    const [wanted, given = ''] = [pattern[at], items[item]];
    if (wanted === star) [lastStar, from, at] = [at, item, at + 1];
    else if (wanted !== undefined && isSame(wanted, given)) [at, item] = [at + 1, item + 1];
    else if (lastStar >= 0) [at, from, item] = [lastStar + 1, from + 1, from + 1];
    else return false;
  }
  return pattern.slice(at).every((rest) => rest === star);
}
