// The browser of the tests.
import { existsSync } from 'node:fs';

const candidates = [
  process.env.PINCH_TEST_BROWSER,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
/** Of a Chromium or Chrome; undefined, with a line that says so, when there is none. */
export const executablePath = candidates.find((path) => path !== undefined && existsSync(path));
if (!executablePath) {
  console.warn(
    'What needs a browser was not tested: no Chromium or Chrome found. Install one, or name it in PINCH_TEST_BROWSER.',
  );
}

export const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
