// What waits for the owner's answer, and what came of the last ones. As in messages.js, only `html` made by our own server is put in as HTML.
import { buttonOf, element, fill } from './elements.js';
import { $ } from './messages.js';
import { openPanel } from './panel.js';
import { callApi } from './session.js';
import texts from './texts.js';

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const ANSWERS = [
  [texts.yes, { decision: 'allow' }],
  [texts.always, { decision: 'allow', scope: 'always' }],
  [texts.no, { decision: 'deny' }],
];

/** The panel. `changed` is told of every change of them, here or elsewhere. */
export function createApprovals() {
  const cards = new Map();
  let asked = 0;
  let shown = 0;

  /** An older answer that comes late must not undo a newer one. */
  async function load() {
    asked += 1;
    const turn = asked;
    const answer = await callApi('GET', '/api/page/approvals');
    if (turn < shown) return;
    shown = turn;
    $('approvals-problem').textContent = answer.problem ?? '';
    if (!answer.problem) show(answer);
  }

  /** Nothing moves below a pointer: new ones come at the end, and one that is over stays where it is until the panel is opened again. */
  function show({ open, decided }) {
    for (const approval of open) {
      if (!cards.has(approval.id)) cards.set(approval.id, $('approvals-open').appendChild(cardOf(approval, answer)));
    }
    for (const [id, card] of cards) {
      const isOpen = open.some((one) => one.id === id);
      const end = decided.find((one) => one.id === id);
      if (!isOpen) settle(card, end);
    }
    $('approvals-none').hidden = cards.size > 0;
    $('approvals-decided').replaceChildren(...decided.map(decidedItem));
  }

  async function answer(id, decision) {
    const card = cards.get(id);
    const pressed = document.activeElement;
    disable(card, true);
    const { problem } = await callApi('POST', `/api/approvals/${id}`, decision);
    await load();
    card.querySelector('.problem').textContent = problem ?? '';
    disable(card, false);
    // Not the next card: whoever presses Enter twice says yes once.
    (card.classList.contains('over') ? card.querySelector('.end') : pressed).focus();
  }

  return {
    open() {
      cards.clear();
      $('approvals-open').replaceChildren();
      openPanel('approvals');
      load();
    },
    changed: () => $('approvals').open && load(),
  };
}

function cardOf({ id, subject, html, always, expiresAt }, answer) {
  const card = element('article', 'approval');
  const title = element('h3', '', `${id}: ${subject}`);
  const body = element('div', 'text');
  body.innerHTML = html;
  const buttons = element('div', 'answers');
  for (const [label, decision] of ANSWERS) {
    if (decision.scope && !always) continue;
    const button = buttons.appendChild(buttonOf(label, () => answer(id, decision)));
    button.type = 'button';
    button.ariaLabel = `${label}, ${fill(texts.approval, { id })}`;
  }
  const until = element('p', 'quiet', fill(texts.until, { time: timeFormat.format(expiresAt) }));
  const problem = element('p', 'problem');
  problem.role = 'alert';
  const end = element('div', 'end');
  end.tabIndex = -1;
  card.append(title, body, ...(always ? [meaning(always)] : []), buttons, problem, until, end);
  return card;
}

function meaning(always) {
  const line = element('div', 'quiet always', `${texts.always}:`);
  line.append(element('div', ''));
  line.lastChild.innerHTML = always;
  return line;
}

const disable = (card, isDisabled) => {
  for (const button of card.querySelectorAll('.answers button')) button.disabled = isDisabled;
};

function settle(card, decided) {
  if (card.classList.contains('over')) return;
  card.classList.add('over');
  card.querySelector('.answers').replaceChildren();
  if (decided) card.querySelector('.end').innerHTML = decided.html;
  else card.querySelector('.end').textContent = texts.over;
}

function decidedItem({ id, subject, state, html, decidedBy, decidedAt }) {
  const item = element('li', state);
  const what = element('div', 'end');
  what.innerHTML = html;
  const by = decidedBy
    ? `${timeFormat.format(decidedAt)}, ${fill(texts.by, { name: decidedBy })}`
    : timeFormat.format(decidedAt);
  item.append(element('strong', '', `${id}: ${subject}`), what, element('span', 'quiet', by));
  return item;
}
