// The secrets that this host holds, and what finds them in bytes on their way. New ones may come at any time; what is being read then is
// read to its end with those that were known when it began.
import { type Automaton, buildAutomaton, type Secret } from './automaton.js';
import { createMask, type Mask } from './mask.js';
import { createScanner, type Range } from './scan.js';
import { canBeLookedFor } from './values.js';

/** Of one name so many values are remembered: a token that was renewed may still be good. */
const VALUES = 4;

export type Secrets = ReturnType<typeof createSecrets>;

export function createSecrets() {
  const values = new Map<string, (string | Buffer)[]>();
  let built: Automaton | undefined;
  const known = () => [...values].flatMap(([name, all]) => all.map((value): Secret => ({ name, value })));
  const automaton = (): Automaton => {
    built ??= buildAutomaton(known());
    return built;
  };

  return {
    /** Looks for this value from now on; a second call is harmless. One that ordinary texts would contain is left out: false. */
    add(given: string, value: string | Buffer): boolean {
      // Names stand in marks, in JSON and in reason phrases.
      const name = given.replace(/[^\w .-]/g, '?');
      if (typeof value === 'string' && !canBeLookedFor(value)) return false;
      const known = values.get(name) ?? [];
      if (known.some((other) => Buffer.from(other).equals(Buffer.from(value)))) return true;
      values.set(name, [value, ...known].slice(0, VALUES));
      built = undefined;
      return true;
    },
    ...lookersFor(automaton),
    /** Looks for all but what has one of these values in it, e.g. for a program that was given them. */
    except(own: string[]): Lookers {
      const isOwn = (value: string | Buffer) => own.some((one) => one.length >= 8 && value.includes(one));
      let [from, rest]: [Automaton | undefined, Automaton] = [undefined, buildAutomaton([])];
      return lookersFor(() => {
        const all = automaton();
        if (from !== all) [from, rest] = [all, buildAutomaton(known().filter(({ value }) => !isOwn(value)))];
        return rest;
      });
    },
  };
}

export type Lookers = ReturnType<typeof lookersFor>;

function lookersFor(automaton: () => Automaton) {
  return {
    /** The text with a mark in place of each secret, and whose they were. */
    clean(text: string): { text: string; names: string[] } {
      const found = automaton().names.length > 0 && text.length >= 8 ? findAll(automaton(), Buffer.from(text)) : [];
      return found.length > 0 ? marked(Buffer.from(text), found) : { text, names: [] };
    },
    /** Whose secrets stand in one of these texts. */
    namesIn: (texts: (string | Buffer)[]): string[] => {
      const names = texts.flatMap((text) => findAll(automaton(), Buffer.from(text)).map(({ name }) => name));
      return [...new Set(names)];
    },
    /** Puts asterisks in place of secrets; `onFound` is called with each name once, before the byte that completed the secret goes on. */
    mask: (onFound: (name: string) => void): Mask => createMask(automaton(), onFound),
  };
}

interface Found extends Range {
  name: string;
  /** More of a long secret that was found before. */
  isMore: boolean;
}

function findAll(automaton: Automaton, bytes: Buffer): Found[] {
  const found: Found[] = [];
  const scanner = createScanner(automaton, (secret, ranges) => {
    const [first, last] = [ranges[0], ranges.at(-1)];
    const name = automaton.names[secret] ?? '';
    if (first && last) found.push({ name, start: first.start, end: last.end, isMore: ranges.length === 1 });
  });
  scanner.feed(bytes, 0);
  scanner.end();
  return found.sort((a, b) => a.start - b.start);
}

function marked(bytes: Buffer, found: Found[]): { text: string; names: string[] } {
  const pieces: string[] = [];
  let end = 0;
  for (const one of found) {
    if (pieces.length === 0 || (one.start >= end && !one.isMore))
      pieces.push(bytes.toString('utf8', end, one.start), markOf(one.name));
    end = Math.max(end, one.end);
  }
  const names = [...new Set(found.map(({ name }) => name))];
  return { text: [...pieces, bytes.toString('utf8', end)].join(''), names };
}

const markOf = (name: string): string => `[secret ${name} removed]`;
