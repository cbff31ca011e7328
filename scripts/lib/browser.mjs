// Finds a Chromium for the tests of the pages, and installs one where that needs no question. Knows nothing about the tests.
import { existsSync } from 'node:fs';
import { canInstallPackages, findProgram, installPackages } from './debian.mjs';
import { SetupError, say } from './progress.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const applications = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** @returns {Promise<string>} the browser's path; empty, with a line that says why, when there is none */
export async function ensureBrowser() {
  const found = findBrowser();
  if (found) return found;
  if (!canInstallPackages()) {
    say('No Chromium or Chrome found: the tests that need a browser cannot run. Install one of them to run all tests.');
    return '';
  }
  say('Installing Chromium for the browser tests…');
  try {
    await installPackages(['chromium']);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`No browser for the tests: ${error.message}\n${error.details}`);
  }
  return findBrowser() ?? '';
}

function findBrowser() {
  return names.map(findProgram).find(Boolean) ?? applications.find((path) => existsSync(path));
}
