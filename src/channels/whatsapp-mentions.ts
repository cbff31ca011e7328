// Mentions on WhatsApp: the text holds `@` and digits, which mean somebody only where the message also lists who that is. Pure.
import { jidDecode, jidNormalizedUser, type proto } from '@whiskeysockets/baileys';
import { mentionPattern } from '../core/mention.js';
import { mentionName, mentionOf } from './mention.js';
import { type Account, identify } from './whatsapp-people.js';

/** WhatsApp's own bound of a group: more people than that nobody can mention. */
const MAX_MENTIONED = 1_024;
const TOKEN = /@(\d+(?:-\d+)?@g\.us|\d+)/g;

type Context = proto.IContextInfo | null | undefined;
const userOf = (jid: string): string => jidDecode(jid)?.user ?? '';

/** The text with the names of those whom one of the contexts lists; ours always. Other digits stay as they are. */
export function withNames(text: string, contexts: Context[], account: Account): string {
  const listed = contexts.flatMap((context) => context?.mentionedJid ?? []).slice(0, MAX_MENTIONED);
  const groups = contexts.flatMap((context) => context?.groupMentions ?? []).slice(0, MAX_MENTIONED);
  const people = new Map(listed.map((jid) => [userOf(jid), jidNormalizedUser(jid)]));
  const titles = new Map(
    groups.flatMap(({ groupJid: jid, groupSubject: title }) => [
      [userOf(jid ?? ''), title],
      [jid ?? '', title],
    ]),
  );
  const own = new Set(account.jids.map(userOf));
  const labels = labelsOf(new Set([...text.matchAll(TOKEN)].map(([, token = '']) => people.get(token) ?? '')), account);
  return text.replace(TOKEN, (whole, token: string, at: number) => {
    if (own.has(token)) return `@${account.assistantName}`;
    const label = labels.get(people.get(token) ?? '') ?? titles.get(token);
    return label
      ? mentionOf(label, text.slice(at + whole.length, at + whole.length + 200), account.assistantName)
      : whole;
  });
}

/** What each of them is called; the end of the address tells two of the same name apart. */
function labelsOf(jids: Set<string>, account: Account): Map<string, string> {
  const named = [...jids].filter(Boolean).map((jid) => {
    const { address } = identify(account, jid);
    const unknown = address.includes('@') ? 'someone' : `+${address}`;
    return { jid, name: mentionName(account.nameOf(address) ?? '') || unknown, end: userOf(jid).slice(-4) };
  });
  const times = new Map<string, number>();
  for (const { name } of named) times.set(name, (times.get(name) ?? 0) + 1);
  return new Map(named.map(({ jid, name, end }) => [jid, times.get(name) === 1 ? name : `${name} (…${end})`]));
}

export interface Member {
  /** As the group itself addresses its members; '' for us. */
  jid: string;
  name: string;
}

/** So many people at most are called by one message of ours. */
const MAX_OWN_MENTIONS = 20;
/** `https://video.example/@ann` and `@ann/package` are addresses of something. */
const IN_ADDRESS = /[/.=&#%+\\]/;
const folded = (name: string): string => name.normalize('NFC').toLowerCase();
/** Nobody types the pictures behind a name. */
const withoutPictures = (name: string): string =>
  name.replace(/(?:[\p{Extended_Pictographic}\p{EMod}\p{RI}\s]|\u{fe0f}|\u{200d})+$/u, '');

/** Writes `@Name` in pieces of one message of ours as a mention, where exactly one of the members has the name. `jids` are those it called so far. */
export function createMentions(members: Member[]) {
  const jids = new Set<string>();
  const byName = new Map<string, string[]>();
  for (const { jid, name } of members) {
    const key = folded(withoutPictures(mentionName(name)));
    if (key) byName.set(key, [...(byName.get(key) ?? []), jid]);
  }
  return {
    jids,
    write(piece: string): string {
      if (!piece.includes('@')) return piece;
      const text = piece.normalize('NFC');
      const lower = text.toLowerCase();
      const names = [...byName.keys()].filter((name) => lower.includes(`@${name}`));
      if (names.length === 0) return piece;
      const pattern = mentionPattern(...names.sort((a, b) => b.length - a.length));
      return text.replace(new RegExp(pattern, 'giu'), (whole, at: number) => {
        const isInAddress = IN_ADDRESS.test(text.charAt(at - 1)) || text.charAt(at + whole.length) === '/';
        const [jid, ...others] = byName.get(folded(whole.slice(1))) ?? [];
        if (isInAddress || !jid || others.length > 0 || (!jids.has(jid) && jids.size >= MAX_OWN_MENTIONS)) return whole;
        jids.add(jid);
        return `@${userOf(jid)}`;
      });
    },
  };
}
