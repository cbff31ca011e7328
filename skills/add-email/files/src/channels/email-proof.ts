// Whether the address in a mail's From is proven: anybody can write any address there. Pure; RFC 8601 (Authentication-Results),
// RFC 7489 (DMARC: what is proven must belong to the domain in From).

interface Result {
  method: string;
  result: string;
  /** `header.d`, `smtp.mailfrom` …, lower case. */
  properties: Map<string, string>;
}

/** The server that speaks in a header, lower case, and what it found. */
export function parseResults(header: string): { server: string; results: Result[] } {
  const [head = '', ...rest] = statements(header.toLowerCase());
  return { server: head.trim().split(/\s+/)[0] ?? '', results: rest.flatMap(parseResult) };
}

/** Parts between `;`, without comments (they nest) and quotation marks. */
function statements(header: string): string[] {
  const parts = [''];
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < header.length; at += 1) {
    const char = header[at] ?? '';
    if (char === '\\') at += 1;
    else if (quoted) quoted = char !== '"';
    else if (char === '(') depth += 1;
    else if (char === ')') depth = Math.max(0, depth - 1);
    else if (depth > 0) continue;
    else if (char === '"') quoted = true;
    else if (char === ';') parts.push('');
    else parts.push(`${parts.pop()}${char}`);
  }
  return parts;
}

function parseResult(statement: string): Result[] {
  const [first = '', ...rest] = statement
    .replace(/\s*=\s*/g, '=')
    .trim()
    .split(/\s+/);
  const [, method, result] = /^([\w-]+)(?:\/\d+)?=(\w+)$/.exec(first) ?? [];
  if (method === undefined || result === undefined) return [];
  const properties = rest
    .map((pair) => pair.split('='))
    .map(([key = '', value = '']): [string, string] => [key, value]);
  return [{ method, result, properties: new Map(properties) }];
}

/**
 * Whether the owner's own mail server, `server`, found that the mail comes from `domain`. `headers`: all Authentication-Results,
 * topmost first. Only the topmost of that server counts: it adds its own above whatever a forger wrote.
 */
export function isProven(headers: string[], server: string, domain: string): boolean {
  const own = headers.map(parseResults).find((one) => one.server === server.toLowerCase());
  const from = domain.toLowerCase();
  if (!own) return false;
  // A domain that publishes rules has refused this mail, whatever else passed.
  if (own.results.some(({ method, result }) => method === 'dmarc' && /^(?:fail|reject|quarantine)$/.test(result)))
    return false;
  return own.results.some(
    ({ method, result, properties }) =>
      result === 'pass' && proofs[method]?.(properties).some((one) => covers(one, from)),
  );
}

/** What a passed check proves; a DMARC pass without a domain is about the one in From. */
const proofs: Partial<Record<string, (properties: Result['properties']) => string[]>> = {
  dmarc: (properties) => [properties.get('header.from') ?? '*'],
  dkim: (properties) => [properties.get('header.d') ?? properties.get('header.i') ?? ''],
  spf: (properties) => [properties.get('smtp.mailfrom') ?? ''],
};

function covers(proven: string, from: string): boolean {
  const domain = proven.slice(proven.lastIndexOf('@') + 1);
  return proven === '*' || domain === from || (domain.includes('.') && from.endsWith(`.${domain}`));
}
