import { expect, test } from 'vitest';
import { markdownToWhatsApp } from './whatsapp-format.js';

test.each([
  ['**bold** *slanted* ~~gone~~ `code`', '*bold* _slanted_ ~gone~ `code`'],
  ['# Title\n\ntext', '*Title*\n\ntext'],
  ['a ** not bold ** b', 'a ** not bold ** b'],
  ['**bold with *inner* part**', '*bold with _inner_ part*'],
  ['**two\nlines**', '*two*\n*lines*'],
  ['[site](https://x.org/a_b)', 'site (https://x.org/a_b)'],
  ['https://x.org', 'https://x.org'],
  ['[mail](mailto:a@b.org)', 'mail (a@b.org)'],
  ['- one\n- two\n  - three', '• one\n• two\n  • three'],
  ['3. a\n4. b', '3. a\n4. b'],
  ['> said\n> so', '> said\n> so'],
  ['```js\nlet a = `x`;\n```', '```\nlet a = `x`;\n```'],
  ['| a | b |\n|---|---|\n| 1 | 2 |', '```\na | b\n--+--\n1 | 2\n```'],
  ['one\n\n---\n\ntwo', 'one\n\n———\n\ntwo'],
  ['a < b & c', 'a < b & c'],
  ['[a@b.org](mailto:a@b.org)', 'a@b.org'],
  ['**one** and *two* words', '*one* and _two_ words'],
  ['![cat](https://x.org/cat.png)', 'cat (https://x.org/cat.png)'],
  ['- [x] done\n- [ ] open', '• ☑ done\n• ☐ open'],
])('%j is written %j', (markdown, shown) => {
  expect(markdownToWhatsApp(markdown)).toBe(shown);
});
