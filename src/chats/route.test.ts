// Whether a message is for us, and what it is.
import { describe, expect, test } from 'vitest';
import type { ChatCommand } from '../groups/chat-command.js';
import { decideRoute, mentionsName, type RouteInput } from './route.js';

const named = (name: string, forMembers?: ChatCommand['forMembers']): ChatCommand => ({
  ...{ usage: `/${name}`, what: '', ...(forMembers && { forMembers }) },
  answer: () => '',
});

describe('the trigger', () => {
  test.each([
    ['@Pinch hello', true],
    ['hello @pinch', true],
    ['hey @PINCH!', true],
    ['so, @Pinch.', true],
    ['(@Pinch)', true],
    ['@Pinch, are you there?', true],
    ["@Pinch's turn", true],
    ['two\n@Pinch\nlines', true],
    ['a@Pinch.example', false],
    ['@Pinchy', false],
    ['@Pinch.example', false],
    ['@Pinch_2', false],
    ['@Pinch-bot', false],
    ['x@Pinch', false],
    ['@@Pinch', false],
    ['done.@Pinch next', true],
    ['@Pinché', false],
    ['Pinch', false],
    ['', false],
    ['@Pinch帮我查', true],
    ['你好@Pinch 在吗', true],
    ['@Pinchさん', true],
    ['＠Pinch hi', true],
    ['＠Ｐｉｎｃｈ', true],
    ['@Pinch아 뭐해', true],
    ['请问（@Pinch）', true],
    ['@Pinch。', true],
    ['สวัสดี@Pinchครับ', true],
    ['@Pinch２', false],
    ['é@Pinch', false],
    ['e\u0301@Pinch', false],
    ['@Pinche\u0301', false],
    ['张三@Pinch.example', false],
    ['@Pinchكيف', true],
    ['@Pinchは', true],
    ['नमस्ते@Pinch', true],
    // What nobody sees, or stands around words, changes nothing.
    ['❤️@Pinch hi', true],
    ['1️⃣@Pinch hi', true],
    ['@Pin\u200dch hi', true],
    ['@\u2060Pinch', true],
    ['\u200f@Pinch\ufe0f', true],
    ['@Pinch\u200by', false],
    ['x\u200b@Pinch', false],
    ['_@Pinch_ hi', true],
    ['_@Pinch come_', true],
    ['x_@Pinch', false],
    ['@Pinch__2', false],
    ['https://t.me/@Pinch', false],
    ['https://video.example/@pinch/1', false],
    ['see https://a.example @Pinch', true],
  ])('%j → %s', (text, expected) => {
    expect(mentionsName(text, 'Pinch')).toBe(expected);
  });

  test('a name with pattern characters is only itself', () => {
    expect(mentionsName('@C-3PO hi', 'C-3PO')).toBe(true);
    expect(mentionsName('@Cx3PO hi', 'C-3PO')).toBe(false);
  });

  test('a name in any letters and encoding', () => {
    expect(mentionsName('@Re\u0301mi salut', 'Rémi')).toBe(true);
    expect(mentionsName('@Rémi salut', 'Re\u0301mi')).toBe(true);
    expect(mentionsName('@Пинч, привет', 'Пинч')).toBe(true);
    expect(mentionsName('@Пинчик', 'Пинч')).toBe(false);
    expect(mentionsName('@小助手帮我', '小助手')).toBe(true);
  });
});

describe('the router', () => {
  const base: RouteInput = {
    text: 'hello',
    addressesAssistant: false,
    forwarded: false,
    sender: { address: '7', username: 'anna_x', isOwner: false },
    chat: { kind: 'group', groupId: 1, sendersPolicy: 'all', listedSenders: [] },
    assistantName: 'Pinch',
    commands: [
      named('help', true),
      named('status', true),
      named('taint', 'bare'),
      named('register'),
      named('stop'),
      named('pair'),
    ],
  };
  const chat = (change: Partial<RouteInput['chat']>) => ({ chat: { ...base.chat, ...change } });
  const listed = (...listedSenders: string[]) => chat({ sendersPolicy: 'listed', listedSenders });
  const called = (change: Partial<RouteInput['sender']>) => ({ sender: { ...base.sender, ...change } });
  const owner = { sender: { ...base.sender, isOwner: true } };
  test.each<[string, Partial<RouteInput>, string]>([
    ['a stranger writes directly', chat({ kind: 'direct', groupId: null }), 'ignore'],
    ['an unregistered group names us', { text: '@Pinch hi', ...chat({ groupId: null }) }, 'stranger'],
    ['a command behind a mark that nobody sees', { text: '\u200f/help' }, 'command'],
    ['a command behind our name and such a mark', { text: '\u200e@Pinch /help' }, 'command'],
    [
      'an unregistered group talks about us by a forward',
      { text: '@Pinch hi', forwarded: true, ...chat({ groupId: null }) },
      'ignore',
    ],
    ['an unregistered group does not name us', { text: 'hi all', ...chat({ groupId: null }) }, 'ignore'],
    ['a stranger sends a command', { text: '/status', ...chat({ groupId: null }) }, 'ignore'],
    [
      'the owner sends a command in an unregistered group',
      { text: '/register family', ...chat({ groupId: null }), ...owner },
      'command',
    ],
    ['untriggered talk in a registered group', {}, 'context'],
    ['a mention by name', { text: 'well @pinch?' }, 'trigger'],
    ['a reply to the assistant', { addressesAssistant: true }, 'trigger'],
    ['a registered direct chat needs no trigger', chat({ kind: 'direct' }), 'trigger'],
    ['a member may ask for help', { text: '/help' }, 'command'],
    ['a member may look', { text: '/taint' }, 'command'],
    ['a member may not change, and is told', { text: '/taint off' }, 'command'],
    ['a command of another bot', { text: '/weather Berlin' }, 'context'],
    ['a command of another bot that is named', { text: '/status@OtherBot' }, 'context'],
    ['a command of ours that is no such', { text: '/weather Berlin', addressesAssistant: true }, 'command'],
    ['an unknown command in a direct chat', { text: '/weather Berlin', ...chat({ kind: 'direct' }) }, 'command'],
    ['a command that is nearly one', { text: '/taimt' }, 'command'],
    ['a command that is nearly one, by nobody who may ask', { text: '/taimt', ...listed('9') }, 'context'],
    ['a command that is nearly one, forwarded', { text: '/taimt', forwarded: true }, 'context'],
    ['a stranger’s command that is nearly one', { text: '/taimt', ...chat({ groupId: null }) }, 'ignore'],
    [
      'the owner’s in a group that nobody registered',
      { text: '/stpo', ...chat({ groupId: null }), ...owner },
      'command',
    ],
    ['a folder', { text: '/etc is full', ...chat({ kind: 'direct' }) }, 'trigger'],
    ['a slash', { text: '/ or not', ...chat({ kind: 'direct' }) }, 'trigger'],
    ['a command within a sentence', { text: 'what does /stop do?', ...chat({ kind: 'direct' }) }, 'trigger'],
    ['a stranger opens the chat', { text: '/start', ...chat({ kind: 'direct', groupId: null }) }, 'opened'],
    ['a stranger opens it by the link', { text: '/start ABCD', ...chat({ kind: 'direct', groupId: null }) }, 'pair'],
    ['the owner opens it by the link again', { text: '/start ABCD', ...chat({ kind: 'direct' }), ...owner }, 'command'],
    ['a stranger opens a group', { text: '/start ABCD', ...chat({ groupId: null }) }, 'ignore'],
    ['a stranger may not look', { text: '/taint', ...chat({ groupId: null }) }, 'ignore'],
    ['the owner may change', { text: '/taint off', ...owner }, 'command'],
    ['a member may not stop where that is the owner’s', { text: '@Pinch /stop', addressesAssistant: true }, 'command'],
    ['the owner stops with the name in front', { text: '@Pinch, /stop', ...owner }, 'command'],
    [
      'an unlisted sender',
      { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed', listedSenders: ['Ben'] }) },
      'context',
    ],
    [
      'a sender listed by user name',
      { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed', listedSenders: ['@Anna_X'] }) },
      'trigger',
    ],
    ['a listed id', { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed', listedSenders: ['7'] }) }, 'trigger'],
    ['a user name without its sign', { text: '@Pinch hi', ...listed('anna_x') }, 'context'],
    ['a user name like a listed id', { text: '@Pinch hi', ...listed('55'), ...called({ username: '55' }) }, 'context'],
    [
      'an id like a listed user name',
      { text: '@Pinch hi', ...listed('@ben'), ...called({ address: '@ben' }) },
      'context',
    ],
    ['an id that is only a name', { text: '@Pinch hi', ...listed('7'), ...called({ isNameOnly: true }) }, 'context'],
    [
      'a forwarded command of the owner',
      { text: '/stop', forwarded: true, ...chat({ kind: 'direct' }), ...owner },
      'trigger',
    ],
    [
      'a forwarded call in a group',
      { text: '@Pinch /stop', forwarded: true, addressesAssistant: true, ...owner },
      'context',
    ],
    ['a forwarded pairing', { text: '/pair A', forwarded: true, ...chat({ kind: 'direct', groupId: null }) }, 'ignore'],
    ['the owner is always listed', { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed' }), ...owner }, 'trigger'],
    ['a path is no command', { text: '/etc/passwd is a file', ...chat({ kind: 'direct' }), ...owner }, 'trigger'],
    ['a pairing code in a direct chat', { text: '/pair ABC', ...chat({ kind: 'direct', groupId: null }) }, 'pair'],
    ['a pairing code in a group', { text: '/pair ABC', ...chat({ groupId: null }) }, 'ignore'],
  ])('%s', (_name, change, kind) => {
    expect(decideRoute({ ...base, ...change }).kind).toBe(kind);
  });
});
