// Text on its way to the model: cleaning, escaping, shortening. Pure; knows nothing about files, tools or messages.

/** C0 (except tab and line feed), DEL and C1. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
/** CSI, OSC and two-byte escape sequences of terminals. */
const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

/** Unpaired surrogates, which the API refuses, become U+FFFD. With the u flag the pattern matches no paired ones. */
export const wellFormed = (text: string) => text.replace(/\p{Surrogate}/gu, '\ufffd');

/** Program output as a person would read it: no terminal codes, no NUL or other control characters, valid UTF-8. */
export function cleanOutput(text: string): string {
  return wellFormed(text.replace(ANSI, '').replace(/\r\n?/g, '\n').replace(CONTROL, ''));
}

const ENTITY: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text for XML content or a double-quoted attribute: nothing in it can open, close or add an element. */
export function escapeXml(text: string): string {
  return wellFormed(text)
    .replace(/[&<>"]/g, (char) => ENTITY[char] ?? char)
    .replace(CONTROL, (char) => `&#${char.charCodeAt(0)};`);
}

/** Like `escapeXml`, also for line breaks and tabs, which an attribute would fold into spaces. */
export function escapeAttribute(text: string): string {
  return escapeXml(text).replace(/[\n\t]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** At most `max` UTF-16 units from the start, never half a character. */
export function head(text: string, max: number): string {
  return text.length > max ? text.slice(0, max).replace(/[\ud800-\udbff]$/, '') : text;
}

/** At most `max` bytes of UTF-8 from the start, never half a character. */
export const headBytes = (text: string, max: number): string =>
  new TextDecoder().decode(Buffer.from(text).subarray(0, max), { stream: true });

/** The text with a note in place of its middle when it is longer than `max`; `hint` says how to see the rest. */
export function cutMiddle(text: string, max: number, hint: string): string {
  if (text.length <= max) return text;
  const first = head(text, Math.floor(max / 2));
  const last = text.slice(-Math.floor(max / 2)).replace(/^[\udc00-\udfff]/, '');
  return `${first}\n[${text.length - first.length - last.length} characters omitted, ${hint}]\n${last}`;
}

/** The folder of a skill. */
export const SKILL_NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;
