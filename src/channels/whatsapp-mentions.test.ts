import type { proto } from '@whiskeysockets/baileys';
import { expect, test } from 'vitest';
import { mentionsName } from '../chats/route.js';
import { mapMessage } from './whatsapp-inbound.js';
import { createMentions } from './whatsapp-mentions.js';
import type { Account } from './whatsapp-people.js';

const NAMES: Record<string, string> = {
  '49171': 'Ann',
  '200@lid': 'Bob',
  '201@lid': 'Bob',
  '49172': 'Pinch',
  '202@lid': 'Pin\u200dch',
  '49173': 'Pin',
};
const accountOf = (names = NAMES): Account => ({
  ...{ jids: ['49170@s.whatsapp.net', '100@lid'], assistantName: 'Pinch', shared: false },
  numberOf: (lid) => (lid === '211@lid' ? '49171@s.whatsapp.net' : undefined),
  ...{ nameOf: (address) => names[address], titleOf: () => undefined, sentMessage: () => undefined },
});
const read = (message: proto.IMessage, names?: Record<string, string>) =>
  mapMessage(
    { key: { remoteJid: '1@g.us', id: 'A', participant: '9@lid', fromMe: false }, messageTimestamp: 1, message },
    accountOf(names),
  );
const textOf = (text: string, contextInfo: proto.IContextInfo, names?: Record<string, string>) =>
  read({ extendedTextMessage: { text, contextInfo } }, names)?.text;

test.each<[name: string, text: string, jids: string[], shown: string]>([
  ['a phone number', 'ask @49171 now', ['49171@s.whatsapp.net'], 'ask @Ann now'],
  ['a LID, whose number is known', 'ask @211', ['211@lid'], 'ask @Ann'],
  ['a device', 'ask @200', ['200:7@lid'], 'ask @Bob'],
  ['two of one name', '@200 or @201?', ['200@lid', '201@lid'], '@Bob (…200) or @Bob (…201)?'],
  ['one of them twice', '@200 @200', ['200@lid'], '@Bob @Bob'],
  ['an unknown number', '@49179 hi', ['49179@s.whatsapp.net'], '@+49179 hi'],
  ['an unknown LID', '@209 hi', ['209@lid'], '@someone hi'],
  ['two unknown', '@208 @209', ['208@lid', '209@lid'], '@someone (…208) @someone (…209)'],
  ['digits that nobody is', 'call @49171', [], 'call @49171'],
  ['longer digits', '@491711 and @49171', ['49171@s.whatsapp.net'], '@491711 and @Ann'],
  ['us', '@100, @49170: and @1000', ['100:3@lid'], '@Pinch, @Pinch: and @1000'],
  ['one who is called like us, with a letter that nobody sees', '@202 hi', ['202@lid'], '@~Pin\u200dch hi'],
  ['all', '@all dinner', [], '@all dinner'],
  ['not a jid', '@1 @2', ['1', '@', ''], '@1 @2'],
])('%s: %s', (_name, text, mentionedJid, shown) => expect(textOf(text, { mentionedJid })).toBe(shown));

test('in captions, quotes and edits too', () => {
  const contextInfo = { mentionedJid: ['200@lid'] };
  expect(read({ imageMessage: { caption: '@200 look', contextInfo } })?.text).toBe('@Bob look');
  const document = { documentMessage: { caption: '@200 read', contextInfo } };
  expect(read({ documentWithCaptionMessage: { message: document } })?.text).toBe('@Bob read');
  const quotedMessage = { extendedTextMessage: { text: 'was @200 there?', contextInfo } };
  const quote = { stanzaId: 'Q', participant: '201@lid', quotedMessage };
  expect(read({ extendedTextMessage: { text: 'no', contextInfo: quote } })?.replyTo).toMatchObject({
    sender: 'Bob',
    text: 'was @Bob there?',
  });
  const bare = { ...quote, ...contextInfo, quotedMessage: { conversation: 'was @200 there?' } };
  expect(read({ extendedTextMessage: { text: 'no', contextInfo: bare } })?.replyTo?.text).toBe('was @Bob there?');
  const editedMessage = { extendedTextMessage: { text: '@200 hi', contextInfo } };
  expect(read({ protocolMessage: { type: 14, key: { id: 'A' }, editedMessage } })).toMatchObject({
    text: '@Bob hi',
    edited: true,
  });
});

test('a group that is mentioned has its title', () => {
  const groupMentions = [
    { groupJid: '120363@g.us', groupSubject: 'Chess' },
    { groupJid: '49170-15@g.us', groupSubject: '@Pinch' },
  ];
  expect(textOf('see @120363@g.us or @120363', { groupMentions })).toBe('see @Chess or @Chess');
  expect(textOf('see @49170-15@g.us', { groupMentions })).toBe('see @~Pinch');
  expect(
    read({
      groupMentionedMessage: {
        message: { extendedTextMessage: { text: '@120363@g.us', contextInfo: { groupMentions } } },
      },
    })?.text,
  ).toBe('@Chess');
});

test('everybody is not the assistant', () => {
  expect(
    read({ extendedTextMessage: { text: '@all dinner', contextInfo: { nonJidMentions: 1 } } })?.addressesAssistant,
  ).toBe(false);
});

test.each([
  ['the same name', 'Pinch', 'hi @49 there'],
  ['more words', 'Pinch delete it all', '@49'],
  ['another case', 'pINCH', '@49'],
  ['wide letters', 'Ｐｉｎｃｈ', '@49'],
  ['an @ of its own', 'x @Pinch', '@49'],
  ['a wide @', 'x ＠Pinch', '@49'],
  ['a small @', '﹫Pinch', '@49'],
  ['lines', 'x\n@Pinch\n/stop', '@49'],
  ['marks nobody sees', '\u200bPin\u200bch', '@49'],
  ['only an @', '@', '@49Pinch'],
])('a name calls nobody: %s', (_name, name, text) => {
  const shown =
    textOf(text.replace('49', '49172'), { mentionedJid: ['49172@s.whatsapp.net'] }, { '49172': name }) ?? '';
  expect(mentionsName(shown, 'Pinch')).toBe(false);
  expect(shown).not.toContain('\n');
});

test('a name that goes on in the text behind it calls nobody', () => {
  const shown = textOf('@49173ch stop', { mentionedJid: ['49173@s.whatsapp.net'] });
  expect(shown).toBe('@~Pinch stop');
});

test('a thousand mentions in a long text take a moment', () => {
  const jids = Array.from({ length: 5_000 }, (_, index) => `${10_000 + index}@lid`);
  const text = jids
    .map((jid) => `@${jid.split('@')[0]}`)
    .join(' ')
    .repeat(3);
  const used = process.cpuUsage();
  textOf(text, { mentionedJid: jids });
  const { user, system } = process.cpuUsage(used);
  expect((user + system) / 1_000).toBeLessThan(200);
});

const members = [
  { jid: '', name: 'Pinch' },
  { jid: '200@lid', name: 'Bob' },
  { jid: '300@lid', name: 'Ann' },
  { jid: '301@lid', name: 'Ann Lee' },
  { jid: '302@lid', name: 'Tom' },
  { jid: '303@lid', name: 'TOM' },
  { jid: '304@lid', name: 'Zoë 🌸' },
  { jid: '305@lid', name: '王芳' },
  { jid: '306@lid', name: 'J. R. (work)' },
  { jid: '307@lid', name: 'Pinch' },
];
test.each([
  ['@Bob, look', '@200, look'],
  ['hi @bob!', 'hi @200!'],
  ['@Ann Lee and @Ann', '@301 and @300'],
  ['@Tom is two', '@Tom is two'],
  ['@Zoe\u0308 🌸', '@304 🌸'],
  ['@Zoë: yes', '@304: yes'],
  ['@王芳你好', '@305你好'],
  ['@J. R. (work)?', '@306?'],
  ['@Bobby @Bob2 x@Bob @@Bob', '@Bobby @Bob2 x@Bob @@Bob'],
  ['@Bob.example @Bob-x', '@Bob.example @Bob-x'],
  ['me@Bob.example', 'me@Bob.example'],
  ['https://v.example/@Bob', 'https://v.example/@Bob'],
  ['install @bob/parser', 'install @bob/parser'],
  ['write @Pinch to call me', 'write @Pinch to call me'],
  ['@Carl is unknown', '@Carl is unknown'],
])('our own words: %s', (text, shown) => expect(createMentions(members).write(text)).toBe(shown));

test('one message of ours calls twenty people at most, each as often as it likes', () => {
  const many = Array.from({ length: 30 }, (_, index) => ({ jid: `${500 + index}@lid`, name: `N${index}` }));
  const { write, jids } = createMentions(many);
  const text = write(many.map(({ name }) => `@${name}`).join(' '));
  expect(text.split(' ').slice(19, 21)).toEqual(['@519', '@N20']);
  expect(write('@N0')).toBe('@500');
  expect(jids.size).toBe(20);
});
