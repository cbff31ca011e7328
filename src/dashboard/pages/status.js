// The header and the banners: who answers, what is connected, and anything that keeps messages from being answered.
import { element } from './messages.js';

const parkedTexts = {
  auth: 'The model provider refused the key. Correct it in .env and restart Pinch; your messages wait.',
  budget: 'The budget for today is used up. Messages wait until tomorrow or until you raise it in .env.',
};

/** Shows a status snapshot on `elements` ({name, model, channels, banners}); `onResume` ends the emergency stop. */
export function createStatusView(elements, onResume) {
  const trouble = { offline: false, signedOut: false };
  let status;
  let shownBanners = '';

  function draw() {
    const banners = bannersFor(status, trouble);
    // Redrawing an unchanged banner would make a screen reader say it again.
    const key = JSON.stringify(banners);
    if (key === shownBanners) return;
    shownBanners = key;
    elements.banners.replaceChildren(...banners.map((banner) => bannerElement(banner, onResume)));
  }

  return {
    show(next) {
      status = next;
      drawHeader(elements, status);
      draw();
    },
    setTrouble(change) {
      Object.assign(trouble, change);
      draw();
    },
    name: () => status?.assistantName ?? 'Pinch',
  };
}

function drawHeader(elements, status) {
  document.title = status.assistantName;
  elements.name.textContent = status.assistantName;
  const demo = status.backend === 'demo';
  elements.model.hidden = false;
  elements.model.textContent = demo ? 'demo model' : status.model;
  elements.model.classList.toggle('demo', demo);
  elements.channels.replaceChildren(
    ...status.channels.map((channel) => {
      const item = element('li', channel.state);
      item.title = channel.detail ? `${channel.state}: ${channel.detail}` : channel.state;
      item.append(element('span', 'label', channel.name), element('span', 'unseen', `: ${channel.state}`));
      return item;
    }),
  );
}

function bannersFor(status, trouble) {
  if (trouble.signedOut) {
    return [banner('error', 'You are signed out. Run “npm run -s pinch -- status” and open the address it prints.')];
  }
  const offline = trouble.offline
    ? [banner('error', 'Connection lost. Trying again; what you write is kept and sent then.')]
    : [];
  return status ? [...offline, ...statusBanners(status)] : offline;
}

function statusBanners({ stopped, engine, groups, channels, backend }) {
  const parked = groups.filter((group) => group.parked);
  return [
    ...(stopped ? [{ ...banner('error', 'Emergency stop: nothing is started until you resume.'), resume: true }] : []),
    ...(engine.state === 'down' ? [banner('error', `Docker is not available, messages wait (${engine.detail})`)] : []),
    ...parked.map((group) =>
      banner('warn', parkedTexts[group.parked] ?? `Group ${group.folder} waits: ${group.parked}`),
    ),
    ...channels
      .filter((channel) => channel.state === 'blocked')
      .map((channel) => banner('warn', `${channel.name}: ${channel.detail}`)),
    ...(backend === 'demo'
      ? [
          banner(
            'info',
            'Demo model: no account is set up. For a real one put ANTHROPIC_API_KEY into .env and restart.',
          ),
        ]
      : []),
  ];
}

const banner = (kind, text) => ({ kind, text });

function bannerElement({ kind, text, resume }, onResume) {
  const line = element('p', `banner ${kind}`);
  line.append(element('span', '', text));
  if (resume) {
    const button = element('button', 'small', 'Resume');
    button.type = 'button';
    button.addEventListener('click', onResume);
    line.append(button);
  }
  return line;
}
