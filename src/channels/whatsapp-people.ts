// Who is who on WhatsApp: a person has a phone number, a LID, or both. Pure.
import { isLidUser, isPnUser, jidDecode, jidNormalizedUser, type proto } from '@whiskeysockets/baileys';

export interface Account {
  /** The account's own names, phone number first, without devices. */
  jids: string[];
  assistantName: string;
  /** The owner's own number: what is typed on the phone are the owner's words. */
  shared: boolean;
  /** The phone number behind a LID, when it was ever seen. */
  numberOf(lid: string): string | undefined;
  /** What the person with this address is called, when that is known. */
  nameOf(address: string): string | undefined;
  titleOf(group: string): string | undefined;
  /** A message that we sent. */
  sentMessage(id: string): proto.IMessage | undefined;
}

/** A chat or person by WhatsApp's address: digits for a phone number, else the whole name (`…@lid`, `…@g.us`). */
export const toJid = (address: string): string => (address.includes('@') ? address : `${address}@s.whatsapp.net`);

interface Person {
  address: string;
  alias?: string;
}

/** One person under both names: the phone number where it is known, else the LID. */
export function identify({ numberOf }: Pick<Account, 'numberOf'>, ...names: (string | null | undefined)[]): Person {
  const jids = names.filter((name): name is string => Boolean(name)).map((name) => jidNormalizedUser(name));
  const lid = jids.find((jid) => isLidUser(jid));
  const number = jids.find((jid) => isPnUser(jid)) ?? (lid && numberOf(lid));
  const address = number ? (jidDecode(number)?.user ?? number) : (lid ?? jids[0] ?? 'unknown');
  return lid === undefined || lid === address ? { address } : { address, alias: lid };
}
