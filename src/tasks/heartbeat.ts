// The heartbeat: a task that looks into HEARTBEAT.md now and then, wakes the model only when there may be something to do, and says
// nothing when there is nothing to say.
import { PinchError } from '../core/errors.js';
import type { TaskInput } from '../wire.js';

/**
 * Runs in the group's folder without the model. Prints HEARTBEAT.md when it changed since the last time, or when an open item (`- [ ]`) is due:
 * at once when it names no date, else from that date (and time) on. Headings and comments alone count as empty.
 */
const CHECK = String.raw`
file=HEARTBEAT.md; seen=.heartbeat-seen
grep -qvE '^[[:space:]]*(#.*|<!--.*-->)?[[:space:]]*$' "$file" 2>/dev/null || exit 0
due=$(awk -v now="$(date '+%Y-%m-%d %H:%M')" '
  /^[[:space:]]*[-*] \[ \]/ {
    at = ""
    if (match($0, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]([ T][0-9][0-9]:[0-9][0-9])?/)) at = substr($0, RSTART, RLENGTH)
    sub(/T/, " ", at)
    if (at <= now) print
  }' "$file")
sum=$(sha256sum < "$file")
[ -z "$due" ] && [ "$sum" = "$(cat "$seen" 2>/dev/null)" ] && exit 0
printf '%s' "$sum" > "$seen"
cat "$file"
`;

const PROMPT = `This is your heartbeat. The check script printed HEARTBEAT.md of this group: your own and the people's standing list. Do what is due now, tick off what is done (\`- [x]\`) in the file, and tell people only what they need to know.`;

const DEFAULT_BUDGET_USD = 0.5;

const EXAMPLE = 'write for example `/heartbeat every 30m 8-22`, or `/heartbeat off`';

/** Reads `every 30m 8-22 $0.50`; what is left out is every 30 minutes from 8 to 22 for at most $0.50 a day. Throws PinchError `bad_heartbeat`. */
export function parseHeartbeat(argument: string): TaskInput & { budget: number } {
  const match = /^(?:every\s+(\d+)\s*([mh]))?\s*(?:(\d\d?)-(\d\d?))?\s*(?:\$(\d+(?:\.\d+)?))?$/i.exec(argument.trim());
  if (!match) throw bad(`I cannot read "${argument}"`);
  const [, count = '30', unit = 'm', from = '8', to = '22', budget] = match;
  const minutes = Number(count) * (unit.toLowerCase() === 'h' ? 60 : 1);
  const isPlain = minutes >= 5 && (minutes <= 60 ? 60 % minutes === 0 : minutes % 60 === 0 && minutes <= 720);
  if (!isPlain) throw bad('it can come every 5, 10, 12, 15, 20 or 30 minutes, or every 1 to 12 hours');
  const [first, end] = [Number(from), Number(to)];
  if (first > 23 || end > 24 || first === end) throw bad('the hours go from 0 to 24');
  const hours: number[] = [];
  const step = Math.max(1, minutes / 60);
  for (let hour = first; hour < (end > first ? end : end + 24); hour += step) hours.push(hour % 24);
  const isRange = step === 1 && end > first + 1;
  const cron = `${minutes < 60 ? `*/${minutes}` : '0'} ${isRange ? `${first}-${end - 1}` : hours.join(',')} * * *`;
  return {
    ...{ title: 'Heartbeat', prompt: PROMPT, cron, check: CHECK, context: 'fresh', misfire: 'latest', attempts: 3 },
    budget: budget === undefined ? DEFAULT_BUDGET_USD : Number(budget),
  };
}

const bad = (what: string) => new PinchError('bad_heartbeat', what, { hint: EXAMPLE });
