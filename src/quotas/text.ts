// What is said about full folders: to the agent, to the owner.
import { oneLine } from '../core/one-line.js';
import type { Quota } from './decide.js';
import type { Use } from './measure.js';

/** As people read it. */
export function sizeText(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}

function usedText(use: Use, { bytes, files }: Quota): string {
  const parts = [
    Number.isFinite(bytes) ? `${sizeText(use.bytes)} of ${sizeText(bytes)}` : sizeText(use.bytes),
    Number.isFinite(files) ? `${use.files} of ${files} files` : `${use.files} files`,
    ...(use.isHidden ? ['folders that are closed, or nested more than 128 deep, and cannot be counted'] : []),
  ];
  return `${parts.join(', ')}${use.isCut ? ' at least' : ''}`;
}

/** Names are a container's: short, as code. */
const largestText = ({ largest }: Use): string =>
  largest.map(({ path, bytes }) => `\`${oneLine(path, 80).replaceAll('`', "'")}\` ${sizeText(bytes)}`).join(', ');

export const diskTexts = {
  refused: (use: Use, quota: Quota) =>
    `the folders of this group are full: ${usedText(use, quota)} in /workspace and /sessions. Delete what is not needed; it is counted again within seconds, and then this works again`,
  forAgent: (use: Use, quota: Quota): string =>
    `The folders of this group are full: ${usedText(use, quota)}${use.largest.length > 0 ? `; largest: ${largestText(use)}` : ''}. Sending and fetching files is refused until that is less. ` +
    'Write nothing more than you must, delete what is surely not needed (caches, downloads, temporary files) and nothing of which the people would miss it; tell them when that does not suffice. ' +
    'A container that goes on filling them is ended.',
  full: (folder: string, use: Use, quota: Quota): string =>
    `The folders of group \`${folder}\` are full: ${usedText(use, quota)}.` +
    `${use.largest.length > 0 ? ` Largest: ${largestText(use)}.` : ''}\n\n` +
    `Until that is less, files it sends and files sent to it are refused, and its container is ended when it goes on. Delete there what is not needed (\`groups/${folder}\` is its /workspace, \`data/sessions/${folder}\` its /sessions), ` +
    'or give it more with `PINCH_GROUP_DISK_MB` and `PINCH_GROUP_FILES` in `.env` and a restart. Once there is room it goes on by itself.',
  ended: (use: Use, quota: Quota): string =>
    `the folders of this group are far past what they may hold: ${usedText(use, quota)}`,
  low: (free: number, least: number): string =>
    `The disk of this machine is nearly full: ${sizeText(free)} are free, and I stop working below ${sizeText(least)}.\n\n` +
    'Nothing is lost; what is written to me waits. Make room (old files of the groups, `docker system df`), and I go on by myself; `PINCH_MIN_FREE_MB` in `.env` sets the limit.',
  lowRefused: 'the disk of the machine is nearly full; the owner was told. Try again when there is room',
};
