// What the page says, in one place: whoever translates it changes this file and those of texts/. What other modules say (errors, findings,
// cards) is theirs.
import { countText } from './format.js';
import { houseTexts } from './texts/house.js';
import { plural } from './texts/plural.js';
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
  scripts: {
    done: 'Done.',
    noAnswer: 'Pinch does not answer. Try again when it runs.',
    loadFailed: 'This could not be loaded:',
    approvalsWaiting: 'Approvals waiting for your answer:',
  },
};
