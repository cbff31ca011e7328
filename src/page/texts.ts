// What the page says, in one place: whoever translates it changes this file and those of texts/. What other modules say (errors, findings,
// cards) is theirs.
import { countText } from './format.js';
import { houseTexts } from './texts/house.js';
import { plural } from './texts/plural.js';
import { scriptTexts, siteTexts } from './texts/scripts.js';
import { workTexts } from './texts/work.js';

export const texts = {
  language: 'en',
  /** In the order of the navigation. */
  nav: {
    chat: 'Chat',
    runs: 'Runs',
    approvals: 'Approvals',
    tasks: 'Tasks',
    costs: 'Costs',
    memory: 'Memory',
    groups: 'Groups',
    health: 'Health',
    settings: 'Settings',
  },
  shell: {
    places: 'Pages',
    skip: 'Skip to content',
    noScript: 'This page needs JavaScript.',
    offline: 'Connection lost. What you see may be old; trying again…',
    stopped: 'Emergency stop: nothing is started until you resume.',
    resume: 'Resume',
    notThere: 'there is nothing here by that name',
  },
  parts: {
    showAll: (chars: number) => `Show all (${plural(chars, 'character')})`,
    cut: (chars: number) => `Cut after ${countText(chars)} characters: the JSON API has all of it.`,
    older: 'Older',
    filter: 'Show',
    all: 'all',
  },
  login: {
    title: 'Sign in',
    heading: 'This page needs its link',
    why: 'Your assistant only talks to the person who has its link. To get it, run this in the Pinch folder:',
    how: 'Open the address it prints, or paste it here. The same address is in the log of `npm start`, behind “Open”. You do this once per browser, and again when it was not used for a week.',
    field: 'The link',
    open: 'Sign in',
  },
  chat: {
    offline: 'Connection lost. Trying again; what you write is kept and sent then.',
    demo: 'Demo model: no account is set up. For a real one put ANTHROPIC_API_KEY into .env and restart.',
    linking: 'Linking',
    channels: 'Channels',
    more: 'More',
    sites: 'Sites',
    sitesText: 'What each group may reach of the internet without asking.',
    allowFor: 'for',
    close: 'Close',
    examples: 'Examples',
    emptyTitle: 'What can I do for you?',
    emptyText: 'I remember what you tell me, run commands in a container of my own, and answer here. Try one of these:',
    exampleTexts: ['Remember that my favourite tea is Assam', 'What do you remember?', 'Run: ls -la', 'help'],
    conversation: 'Conversation',
    older: 'Older messages',
    details: 'details',
    stop: 'Stop',
    newMessages: 'New messages ↓',
    compose: 'New message',
    files: 'Files to send',
    attach: 'Attach files',
    message: 'Message',
    placeholder: 'Write a message',
    send: 'Send',
    hint: 'Enter sends, Shift + Enter starts a new line',
  },
  ...workTexts,
  ...houseTexts,
  /** For the scripts in the browser (`/texts.js`). */
  scripts: scriptTexts,
  sites: siteTexts,
};
