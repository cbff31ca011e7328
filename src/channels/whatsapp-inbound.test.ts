// What strangers' programs put into messages, read directly. What arrives over the wire is in whatsapp.test.ts.
import { proto, type WAMessage } from '@whiskeysockets/baileys';
import { expect, test } from 'vitest';
import { checkInbound } from './inbound-message.js';
import { mapMessage } from './whatsapp-inbound.js';
import type { Account } from './whatsapp-people.js';

const account: Account = {
  ...{ jids: ['49170@s.whatsapp.net'], assistantName: 'Pinch', shared: false },
  ...{ numberOf: () => undefined, titleOf: () => undefined, sentMessage: () => undefined, nameOf: () => undefined },
};
const group = '120363000000000001@g.us';
const map = (message: NonNullable<WAMessage['message']>, id = 'A', participant = '15551234@s.whatsapp.net') =>
  mapMessage({ key: { remoteJid: group, id, participant, fromMe: false }, messageTimestamp: 1, message }, account);
const busy = (work: () => unknown) => {
  const used = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(used);
  return (user + system) / 1_000;
};

test.each([
  ['lines that never end', 'TEL\n'],
  ['empty lines', '\n'],
  ['colons', 'TEL:'],
  ['spaces', 'TEL: '],
  ['carriage returns', 'TEL\r'],
])('a contact of 256 kB of %s holds nobody up', (_name, line) => {
  const card = (unit: string) => ({ contactMessage: { displayName: 'x', vcard: unit.repeat(262_144 / unit.length) } });
  map(card('x\n'));
  expect(busy(() => map(card(line)))).toBeLessThan(50);
});

test('many contacts and long texts are cut, and say so', () => {
  const contact = { displayName: 'Bo', vcard: 'BEGIN:VCARD\r\nTEL;type=CELL:+49 1\r\nTEL:+49 2\r\nEND:VCARD' };
  expect(map({ contactMessage: contact })?.text).toBe('[contact: Bo +49 1 +49 2]');
  const text = map({ contactsArrayMessage: { contacts: Array(1_000).fill(contact) } })?.text.split('\n') ?? [];
  expect(text).toHaveLength(21);
  expect(text.at(-1)).toBe('[and 980 more]');
  for (const long of [
    { conversation: 'x'.repeat(1_000_000) },
    { contactMessage: { displayName: 'x'.repeat(1_000_000) } },
    { pollCreationMessage: { name: 'x'.repeat(1_000_000) } },
  ])
    expect(map(long)?.text.length).toBe(100_001);
});

test("an id that the sender's program chose stays within the sender's own", () => {
  const text = { conversation: 'x' };
  expect(map(text, '3EB0AA')?.platformId).toBe('3EB0AA/15551234');
  const chosen = map(text, '3EB0AA/15551234#x', '666@s.whatsapp.net')?.platformId ?? '';
  expect(chosen).toBe('3EB0AA%2F15551234%23x/666');
  expect(map(text, '3EB0AA%2F15551234%23x', '666@s.whatsapp.net')?.platformId).not.toBe(chosen);
});

test('an answer names the message by the id it was stored under', () => {
  const contextInfo = { stanzaId: 'A#1', participant: '15551234@s.whatsapp.net', quotedMessage: { conversation: 'x' } };
  const reply = map({ extendedTextMessage: { text: 'y', contextInfo } });
  expect(reply?.replyTo?.platformId).toBe(map({ conversation: 'x' }, 'A#1')?.platformId);
});

const poll = { name: 'When?', options: [{ optionName: 'Mon' }, { optionName: 'Tue' }] };
test.each<[NonNullable<WAMessage['message']>, string]>([
  [{ pollCreationMessageV4: { message: { pollCreationMessage: poll } } }, '[poll: When? — Mon / Tue]'],
  [{ pollCreationMessageV5: poll }, '[poll: When? — Mon / Tue]'],
  [
    { eventMessage: { name: 'Dinner', startTime: 1_767_225_600, location: { name: 'Rio' } } },
    '[event: Dinner, 2026-01-01T00:00:00.000Z, Rio]',
  ],
  [
    { eventMessage: { name: 'Dinner', startTime: Number.MAX_SAFE_INTEGER, isCanceled: true } },
    '[event: Dinner, cancelled]',
  ],
  [{ groupInviteMessage: { groupName: 'Chess', caption: 'join us' } }, '[invitation to the group Chess, join us]'],
  [{ listResponseMessage: { title: 'The blue one' } }, 'The blue one'],
  [{ buttonsResponseMessage: { selectedDisplayText: 'Yes' } }, 'Yes'],
  [{ templateButtonReplyMessage: { selectedDisplayText: 'Later' } }, 'Later'],
  [{ interactiveResponseMessage: { body: { text: 'At noon' } } }, 'At noon'],
  [{ lottieStickerMessage: { message: { stickerMessage: { isLottie: true } } } }, '[sticker]'],
  [
    { productMessage: { product: { title: 'Lamp', url: 'https://s.example/1' } } },
    '[product: Lamp, https://s.example/1]',
  ],
  [{ orderMessage: { orderTitle: 'Two lamps' } }, '[order: Two lamps]'],
  [{ templateMessage: { hydratedTemplate: { hydratedContentText: 'Your parcel' } } }, 'Your parcel'],
  [{ listMessage: { title: 'Menu', description: 'choose' } }, 'Menu, choose'],
  [
    { listMessage: { title: 'Menu', sections: [{ rows: [{ title: 'Pizza' }, { title: 'Pasta' }] }] } },
    'Menu, [Pizza / Pasta]',
  ],
  [{ buttonsMessage: { contentText: 'Go?', buttons: [{ buttonText: { displayText: 'Yes' } }] } }, 'Go?, [Yes]'],
  [
    {
      templateMessage: {
        hydratedTemplate: {
          hydratedContentText: 'Pay',
          hydratedButtons: [{ urlButton: { displayText: 'Now', url: 'https://pay.example' } }],
        },
      },
    },
    'Pay, [Now, https://pay.example]',
  ],
  [{ locationMessage: { degreesLatitude: 1, degreesLongitude: 2, comment: 'here' } }, '[location: 1, 2 here]'],
  [{ liveLocationMessage: {} }, '[location: ?, ?]'],
  [
    { contactMessage: { displayName: 'Bo', vcard: 'item1.TEL;waid=491:+49 1\nitem1.X-ABLabel:Home' } },
    '[contact: Bo +49 1]',
  ],
  [{ interactiveMessage: { body: { text: 'Pay now?' } } }, 'Pay now?'],
  [{ pollCreationMessageV2: poll }, '[poll: When? — Mon / Tue]'],
  [{ pollCreationMessageV3: poll }, '[poll: When? — Mon / Tue]'],
  [
    { pollResultSnapshotMessage: { name: 'When?', pollVotes: [{ optionName: 'Mon', optionVoteCount: 3 }] } },
    '[poll result: When? — Mon 3]',
  ],
  [{ viewOnceMessageV2: { message: { ephemeralMessage: { message: { conversation: 'secret' } } } } }, 'secret'],
  [{ botInvokeMessage: { message: { extendedTextMessage: { text: 'hey AI' } } } }, 'hey AI'],
  [{ commentMessage: { message: { conversation: 'a comment' } } }, 'a comment'],
  [
    { liveLocationMessage: { degreesLatitude: 1, degreesLongitude: 2, caption: 'on my way' } },
    '[location: 1, 2 on my way]',
  ],
  [
    { sendPaymentMessage: { noteMessage: { extendedTextMessage: { text: 'for the pizza' } } } },
    '[payment: for the pizza]',
  ],
  [
    {
      requestPaymentMessage: { amount1000: 12_500, currencyCodeIso4217: 'EUR', noteMessage: { conversation: 'pizza' } },
    },
    '[payment asked for: 12.5 EUR, pizza]',
  ],
  [{ invoiceMessage: { note: 'March' } }, '[invoice: March]'],
  [{ paymentInviteMessage: { serviceType: 1 } }, '[payment invite]'],
  [
    { newsletterAdminInviteMessage: { newsletterName: 'News', caption: 'help us' } },
    '[newsletter admin invite: News, help us]',
  ],
  [{ callLogMesssage: { isVideo: true, callOutcome: 1 } }, '[video call: missed]'],
  [{ callLogMesssage: { callOutcome: 7 } }, '[call: silenced unknown caller]'],
  [{ bcallMessage: { caption: 'listen' } }, '[bcall: listen]'],
  [{ placeholderMessage: { type: 0 } }, '[a message that only the phone can show]'],
  [{ richResponseMessage: { submessages: [{ messageText: 'one' }, { messageText: 'two' }] } }, 'one\ntwo'],
  [
    { highlyStructuredMessage: { hydratedHsm: { hydratedTemplate: { hydratedContentText: 'Your code' } } } },
    'Your code',
  ],
  [{ statusQuestionAnswerMessage: { text: 'blue' } }, '[status question answer: blue]'],
  [{ requestPhoneNumberMessage: {} }, '[request phone number]'],
  [{ messageContextInfo: { messageSecret: new Uint8Array(32) } }, '[a message of a kind that I cannot read yet]'],
  [{}, '[a message of a kind that I cannot read yet]'],
])('%j is at least a line of text', (message, text) => expect(map(message)?.text).toBe(text));

test('a video note is a file', () => {
  expect(map({ ptvMessage: { mimetype: 'video/mp4', fileLength: 9 } })?.media).toMatchObject([
    { kind: 'video', fileName: 'video-note.mp4' },
  ]);
});

test('what is replied to is named and comes along; whatever the reply is, it counts as one', () => {
  const quotedMessage = { documentMessage: { fileName: 'bill.pdf', mimetype: 'application/pdf' } };
  const contextInfo = { stanzaId: 'Q', participant: '15559@s.whatsapp.net', quotedMessage };
  const reply = map({ extendedTextMessage: { text: 'what is it?', contextInfo } });
  expect(reply).toMatchObject({ replyTo: { text: '[document: bill.pdf]' }, media: [{ fileName: 'bill.pdf' }] });
  const voice = { ...contextInfo, quotedMessage: { audioMessage: { ptt: true } } };
  expect(map({ extendedTextMessage: { text: 'and this?', contextInfo: voice } })?.replyTo?.text).toBe(
    '[voice: voice.ogg]',
  );
  for (const message of [
    { eventMessage: { name: 'x', contextInfo } },
    { buttonsResponseMessage: { selectedDisplayText: 'x', contextInfo } },
    { ptvMessage: { contextInfo } },
    { pollCreationMessageV5: { name: 'x', contextInfo } },
    { locationMessage: { degreesLatitude: 1, degreesLongitude: 2, contextInfo } },
    { liveLocationMessage: { degreesLatitude: 1, degreesLongitude: 2, contextInfo } },
    { contactMessage: { displayName: 'Bo', contextInfo } },
    { contactsArrayMessage: { contacts: [{ displayName: 'Bo' }], contextInfo } },
    { stickerMessage: { isLottie: true, contextInfo } },
    { bcallMessage: { caption: 'x' }, pollResultSnapshotMessage: { contextInfo } },
  ])
    expect(map(message)?.replyTo?.platformId).toBe('Q/15559');
});

test('a reply whose program leaves out what it answers still names it', () => {
  const contextInfo = { stanzaId: 'Q', participant: '49170@s.whatsapp.net' };
  expect(map({ extendedTextMessage: { text: 'yes', contextInfo } })?.replyTo).toMatchObject({
    platformId: 'Q',
    text: '[a message]',
  });
});

test('wrappings without end', () => {
  let message: NonNullable<WAMessage['message']> = { conversation: 'deep' };
  for (let n = 0; n < 1_000; n += 1) message = { lottieStickerMessage: { message } };
  expect(map(message)?.text).toBe('[lottie sticker]');
});

test.each<NonNullable<WAMessage['message']>>([
  { senderKeyDistributionMessage: { groupId: group } },
  { protocolMessage: { type: 0 } },
  { pollUpdateMessage: {} },
  { pinInChatMessage: {}, messageContextInfo: {} },
  { secretEncryptedMessage: {} },
])('%j is said to nobody', (message) => expect(map(message)).toBeUndefined());

test.each<[string, NonNullable<WAMessage['message']>]>([
  ['a text', { extendedTextMessage: { text: '/stop', contextInfo: { isForwarded: true } } }],
  ['one of many times', { extendedTextMessage: { text: '/stop', contextInfo: { forwardingScore: 127 } } }],
  ['a caption', { imageMessage: { caption: '/stop', contextInfo: { isForwarded: true } } }],
  [
    'a caption in an album',
    { associatedChildMessage: { message: { videoMessage: { caption: '/stop', contextInfo: { isForwarded: true } } } } },
  ],
  [
    'a document',
    {
      documentWithCaptionMessage: {
        message: { documentMessage: { caption: '/stop', contextInfo: { isForwarded: true } } },
      },
    },
  ],
  [
    'one of a channel',
    {
      extendedTextMessage: {
        text: '/stop',
        contextInfo: { forwardedNewsletterMessageInfo: { newsletterJid: '1@newsletter' } },
      },
    },
  ],
  ['words of an AI', { botForwardedMessage: { message: { conversation: '/stop' } } }],
  [
    'one that disappears',
    { ephemeralMessage: { message: { extendedTextMessage: { text: '/stop', contextInfo: { isForwarded: true } } } } },
  ],
  ['a poll', { pollCreationMessageV3: { name: '/stop', contextInfo: { isForwarded: true } } }],
  ['a contact', { contactMessage: { displayName: '/stop', contextInfo: { isForwarded: true } } }],
])('%s that is passed on is marked', (_name, message) => expect(map(message)?.forwarded).toBe(true));

test('what is written by hand is not marked as passed on', () => {
  expect(
    map({ extendedTextMessage: { text: 'x', contextInfo: { isForwarded: false, forwardingScore: 0 } } })?.forwarded,
  ).toBe(false);
  expect(map({ conversation: 'x' })?.forwarded).toBe(false);
});

const { MEDIA_ALBUM, HD_IMAGE_DUAL_UPLOAD } = proto.MessageAssociation.AssociationType;
const picture = { imageMessage: { mediaKey: Buffer.alloc(32), directPath: '/v/x', mimetype: 'image/jpeg' } };
const partOf = (associationType: number, id = 'ALBUM') => ({
  messageContextInfo: { messageAssociation: { associationType, parentMessageKey: { id } } },
});

test.each<[string, NonNullable<WAMessage['message']>, object | undefined]>([
  ['the message before it', { albumMessage: { expectedImageCount: 3, expectedVideoCount: 1 } }, { id: 'A', size: 4 }],
  ['one that promises nothing', { albumMessage: {} }, { id: 'A' }],
  ['one that promises too much', { albumMessage: { expectedImageCount: 4e9 } }, { id: 'A' }],
  ['a part', { ...picture, ...partOf(MEDIA_ALBUM) }, { id: 'ALBUM' }],
  ['a part in its wrapper', { associatedChildMessage: { message: picture }, ...partOf(MEDIA_ALBUM) }, { id: 'ALBUM' }],
  [
    'a part that says so within',
    { associatedChildMessage: { message: { ...picture, ...partOf(MEDIA_ALBUM) } } },
    { id: 'ALBUM' },
  ],
  ['a vanishing part', { ephemeralMessage: { message: picture }, ...partOf(MEDIA_ALBUM) }, { id: 'ALBUM' }],
  ['a part of nothing', { ...picture, ...partOf(MEDIA_ALBUM, '') }, undefined],
  ['the sharper copy of a picture', { ...picture, ...partOf(HD_IMAGE_DUAL_UPLOAD) }, undefined],
  ['a picture alone', picture, undefined],
])('an album: %s', (_name, message, album) => {
  const mapped = map(message);
  expect(checkInbound(mapped, 1)?.album).toEqual(album);
  expect(mapped?.text === '').toBe(mapped?.media.length === 1);
});

test('an album answers the assistant, or mentions it, by its first message', () => {
  const contextInfo = { stanzaId: 'X', participant: '49170@s.whatsapp.net', quotedMessage: { conversation: 'x' } };
  const album = { expectedImageCount: 2, contextInfo: { ...contextInfo, mentionedJid: ['49170@s.whatsapp.net'] } };
  expect(map({ albumMessage: album })).toMatchObject({
    text: '[album: 2 pictures or videos]',
    addressesAssistant: true,
    replyTo: { text: 'x' },
  });
});

test.each<[string, NonNullable<WAMessage['message']>, object]>([
  ['a text', { conversation: 'new' }, { text: 'new', media: [] }],
  ['a text with a link', { extendedTextMessage: { text: 'new https://a.example' } }, { text: 'new https://a.example' }],
  ['a caption', { imageMessage: { caption: 'new' } }, { text: 'new', media: [] }],
  [
    'a caption, with the picture',
    { imageMessage: { ...picture.imageMessage, caption: 'new' } },
    { media: [{ kind: 'image' }] },
  ],
])('an edit of %s', (_name, editedMessage, expected) => {
  const { MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type;
  const protocolMessage = { type: MESSAGE_EDIT, key: { id: 'FIRST' }, editedMessage };
  for (const message of [{ protocolMessage }, { editedMessage: { message: { protocolMessage } } }])
    expect(map(message)).toMatchObject({ platformId: 'FIRST/15551234', edited: true, ...expected });
});
