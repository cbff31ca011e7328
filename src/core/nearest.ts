// What somebody may have meant who wrote a name that is none. Pure.

/** Words people say for commands that are named otherwise, in a chat and in the terminal. */
const SAID: Record<string, string> = {
  approvals: 'pending waiting questions',
  approve: 'yes confirm accept',
  budget: 'limit raise cap',
  cost: 'money spent spend spending usage price costs bill',
  costs: 'money spent spend spending usage price cost bill',
  deny: 'no reject',
  help: 'commands menu about settings',
  new: 'reset clear forget restart',
  progress: 'verbose quiet',
  recap: 'night yesterday today summary report digest activity history done did what',
  resume: 'start continue go unpause unstop wake',
  retry: 'again redo repeat',
  runs: 'why error errors failed failures fail log logs run jobs',
  status: 'info ping health version uptime',
  stop: 'cancel halt abort kill quit end exit break silence',
  task: 'schedule remind reminder cron todo',
  tasks: 'schedule cron reminders jobs',
  undo: 'revert rollback restore forget back',
};

/** The known names for which people say it. */
export const meant = (written: string, known: readonly string[]): string[] =>
  known.filter((name) => SAID[name]?.split(' ').includes(wordsOf(written).join('_')));

/** The known name that differs least from `written`, when it differs little: a letter or two, capitals, `-` for `_`, a missing word. */
export function nearest(written: string, known: readonly string[]): string | undefined {
  const plain = wordsOf(written).join('_');
  const most = Math.max(1, Math.floor(plain.length / 5));
  const [best] = known
    .map((name) => ({ name, steps: distance(plain, wordsOf(name).join('_')) }))
    .filter(({ name, steps }) => steps <= most || lacksWords(written, name))
    .sort((a, b) => a.steps - b.steps);
  return best?.name;
}

const wordsOf = (name: string): string[] =>
  name
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);

/** Whether one has all words of the other, of which there are at least two. */
function lacksWords(a: string, b: string): boolean {
  const [few = [], many = []] = [wordsOf(a), wordsOf(b)].sort((one, other) => one.length - other.length);
  return few.length > 1 && many.length - few.length < 3 && few.every((word) => many.includes(word));
}

/** Letters put in, left out, exchanged, or swapped with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const exchanged = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, exchanged, swapped));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}
