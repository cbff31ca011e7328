// The path and query of a call to a service, in the one form that rules are matched on and that is sent. Pure. Whatever two programs could read
// in two ways is refused: a rule must mean the same path as the server behind it.

export interface Target {
  /** Canonical, begins with `/`. */
  path: string;
  /** As it was sent, without its `?`. */
  query: string;
  /** Decoded. */
  params: [name: string, value: string][];
}

const MAX_PATH = 2_048;
const MAX_QUERY = 8_192;
const PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@/%]*$/;
const QUERY = /^[A-Za-z0-9\-._~!$&'()*+,=:@/%?[\]]*$/;
/** Programs differ in whether these still mean something once they are decoded. */
const REFUSED_DECODED = /[/\\.%;\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
/** Servers take these for the same whether they are encoded or not, so rules must as well. */
const PLAIN = /^[A-Za-z0-9\-_~!$&'()*+,=:@]$/;
/** Frameworks take the method from it. */
const METHOD_PARAM = /^_?(method|http_?method|x-http-method(-override)?)$/;

/** What `text` (path and query behind the service's name) asks for; or why it is refused. Never throws. */
export function readTarget(text: string): Target | { refused: string } {
  const at = text.indexOf('?');
  const [rawPath, query] = at < 0 ? [text || '/', ''] : [text.slice(0, at) || '/', text.slice(at + 1)];
  const path = canonicalPath(rawPath);
  if (typeof path !== 'string') return path;
  const why = queryProblem(query);
  if (why) return { refused: `this query is refused: ${why}` };
  const params = [...new URLSearchParams(query)];
  const override = params.find(([name]) => METHOD_PARAM.test(plain(name)));
  if (override) return { refused: `the parameter ${plain(override[0])} could stand for another method` };
  return { path, query, params };
}

/** A path in its one form; or why it has none. */
export function canonicalPath(raw: string): string | { refused: string } {
  const why = pathProblem(raw);
  return why ? { refused: `this path is refused: ${why}` } : raw.replace(/%../g, canonicalByte);
}

function canonicalByte(coded: string): string {
  const character = String.fromCharCode(Number.parseInt(coded.slice(1), 16));
  return PLAIN.test(character) ? character : coded.toUpperCase();
}

function pathProblem(raw: string): string | undefined {
  if (raw.length > MAX_PATH) return `it is longer than ${MAX_PATH} characters`;
  if (!PATH.test(raw))
    return "it must begin with / and consist of letters, digits, percent-encoding and -._~!$&'()*+,=:@";
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) return 'a % is not followed by two hexadecimal digits';
  if (raw.includes('//')) return 'two slashes follow each other';
  const coded = [...raw.matchAll(/(?:%..)+/g)].map(([run]) => decoded(run));
  if (coded.includes(undefined)) return 'its percent-encoding is no proper UTF-8';
  // Some servers also fold wide forms into the plain ones.
  if (coded.some((run = '') => REFUSED_DECODED.test(run) || REFUSED_DECODED.test(run.normalize('NFKC'))))
    return 'it has an encoded slash, backslash, dot, percent sign, semicolon or invisible character';
  const segments = raw.split('/').map((segment) => decoded(segment) ?? '');
  // Some servers drop what stands at the end.
  if (segments.some((segment) => /^\s|[.\s]$/.test(segment)))
    return 'a part of it is . or .., or ends in a dot or a blank';
  return undefined;
}

function queryProblem(raw: string): string | undefined {
  if (raw.length > MAX_QUERY) return `it is longer than ${MAX_QUERY} characters`;
  if (!QUERY.test(raw)) return 'write what is not a letter or digit in percent-encoding';
  if (/%(?![0-9A-Fa-f]{2})|%00/.test(raw) || decoded(raw) === undefined)
    return 'its percent-encoding is no proper UTF-8';
  return undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** A name as the most careless server reads it. */
const plain = (name: string): string =>
  name
    .normalize('NFKC')
    .replace(/[[.].*$/s, '')
    .trim()
    .toLowerCase();

/** Why a rule cannot rely on what this parameter says: it comes twice, or in a spelling that some servers take for it. */
export function paramProblem(params: Target['params'], name: string): string | undefined {
  const same = params.filter(([other]) => plain(other) === plain(name));
  if (same.length <= 1 && same.every(([other]) => other === name)) return undefined;
  return `the parameter ${name} may come once, written just so`;
}
