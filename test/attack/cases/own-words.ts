// The owner's own words open a door for one run (src/egress/own-words.ts): what only looks as if the owner had typed it opens none.
import { expect } from 'vitest';
import type { AttackScene } from '../attack.js';
import { type Probe, probeFamily } from '../families.js';
import { addMessage, numberOf, type Written, withStore } from '../rows.js';

const NOT_ALLOWED = /^403 egress to \S+ is not allowed yet: the owner can write \/allow \S+$/;
/** Nobody has its address (sites.ts), so what is let through fails there. */
const LET_THROUGH = /^502 \S+ cannot be reached: /;

interface Word {
  name: string;
  /** What stands in the run that works; nothing: only in the places that `around` fills. */
  written?: Written | Written[];
  target: string;
  answer?: RegExp;
}

const words: Word[] = [
  {
    name: 'a link that the owner typed, for comparison',
    written: { text: 'read https://typed.words.example/a' },
    target: 'typed.words.example:443',
    answer: LET_THROUGH,
  },
  { name: 'the same host on a port that nobody typed', target: 'typed.words.example:8443' },
  { name: 'a host below it', target: 'a.typed.words.example:443' },
  { name: 'the host above it', target: 'words.example:443' },
  { name: 'a host that goes on behind it', target: 'typed.words.example.evil.example:443' },
  {
    name: 'a host with letters that look like it',
    written: { text: 'read https://typеd.words.example/' },
    target: 'xn--typd-l6d.other.example:443',
  },
  {
    name: 'a host without https://',
    written: { text: 'see bare.words.example and www.bare.words.example' },
    target: 'bare.words.example:443',
  },
  {
    name: 'another scheme',
    written: { text: 'ftp://ftp.words.example hxxps://ftp.words.example' },
    target: 'ftp.words.example:443',
  },
  {
    name: 'a word that ends in https',
    written: { text: 'xhttps://glued.words.example/' },
    target: 'glued.words.example:443',
  },
  {
    name: 'a link that shows a host as user name: the host it goes to',
    written: { text: 'https://shown.words.example@goes.words.example/' },
    target: 'goes.words.example:443',
  },
  { name: 'the same: the host it shows', target: 'shown.words.example:443' },
  {
    name: 'a link with a password',
    written: { text: 'https://u:p@password.words.example/' },
    target: 'password.words.example:443',
  },
  {
    name: 'a host in the path of a link',
    written: { text: 'https://one.words.example/?u=https://path.words.example/' },
    target: 'path.words.example:443',
  },
  {
    name: 'a forward',
    written: { text: 'https://forward.words.example/', forwarded: true },
    target: 'forward.words.example:443',
  },
  {
    name: 'a quote',
    written: {
      text: 'what is this?',
      replyTo: { platformId: 'q', sender: 'Eve', text: 'https://quote.words.example/' },
    },
    target: 'quote.words.example:443',
  },
  {
    name: 'a quote that stands in the text as well: the owner typed it',
    written: {
      text: 'https://both.words.example/',
      replyTo: { platformId: 'q', sender: 'Eve', text: 'https://both.words.example/' },
    },
    target: 'both.words.example:443',
    answer: LET_THROUGH,
  },
  {
    name: 'the name of a file',
    written: {
      text: 'this',
      media: [
        {
          kind: 'document',
          fileName: 'https://file.words.example/',
          mimeType: 'x/y',
          sizeBytes: 1,
          ref: 'r',
          error: 'gone',
        },
      ],
    },
    target: 'file.words.example:443',
  },
  {
    name: 'what a program heard in a voice',
    written: {
      text: '',
      media: [
        {
          kind: 'voice',
          fileName: 'v',
          mimeType: 'audio/ogg',
          sizeBytes: 1,
          ref: 'r',
          error: 'gone',
          transcript: { by: 'x', text: 'https://heard.words.example/' },
        },
      ],
    },
    target: 'heard.words.example:443',
  },
  {
    name: 'somebody who may not ask',
    written: { text: 'https://member.words.example/', role: 'member', mayAsk: false },
    target: 'member.words.example:443',
  },
  {
    name: 'a row from before roles were known',
    written: { text: 'https://old.words.example/', role: null },
    target: 'old.words.example:443',
  },
  {
    name: 'the assistant itself',
    written: { text: 'https://assistant.words.example/', direction: 'out' },
    target: 'assistant.words.example:443',
  },
  {
    name: 'the name of the sender',
    written: { text: 'hello', sender: 'https://sender.words.example/' },
    target: 'sender.words.example:443',
  },
  {
    name: 'a link that the owner took out of the message again',
    written: [
      { text: 'https://taken.words.example/', platformId: 'e1' },
      { text: 'no link', platformId: 'e1#7#abcdefghij', edited: true },
    ],
    target: 'taken.words.example:443',
  },
  {
    name: 'a link that the owner put into it later',
    written: [
      { text: 'no link', platformId: 'e2' },
      { text: 'https://later.words.example/', platformId: 'e2#7#abcdefghij', edited: true },
    ],
    target: 'later.words.example:443',
    answer: LET_THROUGH,
  },
  {
    name: 'a private address that the owner typed',
    written: { text: 'http://192.168.1.5/' },
    target: '192.168.1.5:80',
    answer: /^403 egress to 192.168.1.5 is refused: it is a private/,
  },
  {
    name: 'a name that the owner typed and that leads to this machine',
    written: { text: 'http://loop.example/' },
    target: 'loop.example:80',
    answer: /^403 egress to loop.example is refused: it is a private/,
  },
  { name: 'a link from an earlier run', target: 'earlier.words.example:443' },
  { name: "a link in another group's chat", target: 'elsewhere.words.example:443' },
  { name: 'a link that the agent itself sent', target: 'sent.words.example:443' },
];

const probes: Probe[] = words.map(({ name, target, answer = NOT_ALLOWED }) => ({
  name,
  ask: { say: `CONNECT ${target} HTTP/1.1\r\nhost: x\r\n\r\n` },
  answer,
}));

function begun(scene: AttackScene): void {
  const { runId } = scene;
  const earlier = numberOf(scene, 'SELECT min(id) FROM runs');
  addMessage(scene, { text: 'https://earlier.words.example/', runId: earlier });
  addMessage(scene, { chat: 'test:others', text: 'https://elsewhere.words.example/' });
  addMessage(scene, { text: 'https://sent.words.example/', direction: 'out' });
  for (const { written = [] } of words)
    for (const message of [written].flat()) addMessage(scene, { runId, ...message });
}

/** Back to a run that is over, or the next one would take them over. */
async function after(scene: AttackScene): Promise<void> {
  withStore(scene, (db) =>
    db
      .prepare(
        `UPDATE run_messages SET run_id = (SELECT min(id) FROM runs)
         WHERE run_id = ?1 AND message_id > (SELECT min(message_id) FROM run_messages WHERE run_id = ?1)`,
      )
      .run({ 1: scene.runId }),
  );
}

export const ownWords = probeFamily("the owner's own words", probes, {
  begun,
  after,
  check({ lookedUp }) {
    const through = words
      .filter(({ answer }) => answer === LET_THROUGH)
      .map(({ target }) => target.replace(':443', ''));
    // A name that was refused was never looked up; the private one was, because the owner typed it.
    expect(new Set(lookedUp)).toEqual(new Set([...through, 'loop.example']));
  },
});
