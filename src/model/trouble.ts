// What a call without an answer says about the back end, in words for people. Pure.

const CODES: [RegExp, string][] = [
  [/^ECONNREFUSED$/, 'it refuses the connection'],
  [/^(ENOTFOUND|EAI_\w+)$/, 'its name cannot be found'],
  [/^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL)$/, 'there is no way to it'],
  [/^(ECONNRESET|EPIPE|ERR_STREAM_PREMATURE_CLOSE|ERR_STREAM_DESTROYED)$/, 'it broke off the connection'],
  [/CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/, 'its certificate is not valid'],
  [/^(EPROTO|ERR_SSL|ERR_TLS)/, 'it makes no secure connection'],
  [/^HPE_/, 'what answers there does not speak HTTP'],
];

/** Why there was no answer, by the code of the error where it has one. */
export function connectionTrouble(code: string | undefined): string {
  const words = CODES.find(([pattern]) => pattern.test(code ?? ''))?.[1];
  return words ? `${words} (${code})` : `the connection failed${code ? ` (${code})` : ''}`;
}

/** What a call says about the back end: that it answers, that it does not and why; undefined when it says neither. */
export function troubleOf(call: {
  status: number;
  /** Why there was no answer, or no whole one. */
  error: string | undefined;
  /** It says that there is too much to do. */
  isOver: boolean;
  complete: boolean;
  callerLeft: boolean;
}): { why: string | undefined } | undefined {
  const { status, error, isOver, complete, callerLeft } = call;
  if (error) return { why: error };
  if (isOver && status === 429) return { why: 'it lets me ask no more for now (error 429)' };
  if (isOver && status === 200) return { why: 'it is overloaded' };
  if (isOver || status === 529 || status === 503) return { why: `it is overloaded or down (error ${status})` };
  if (/^(408|409|425|498)$/.test(`${status}`)) return { why: `it does not get to an answer (error ${status})` };
  if (status >= 500) return { why: `it is broken (error ${status})` };
  // It refuses this request or this key, or wants money, which is told elsewhere.
  if (!/^(2\d\d|304)$/.test(`${status}`)) return undefined;
  if (complete) return { why: undefined };
  return callerLeft ? undefined : { why: 'its answer breaks off, or is none' };
}

/** How long a back end may be silent until that counts as no answer. */
export const SILENT_MS = 90_000;
export const silent = (ms: number): string => `it has been silent for ${Math.round(ms / 1_000)} seconds`;
