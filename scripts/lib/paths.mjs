// Where things are in the repository. Knows nothing about what is in them.
import { join, resolve } from 'node:path';

/** The repository. */
export const root = resolve(import.meta.dirname, '../..');

/** @param {string[]} parts below the repository */
export const inRoot = (...parts) => join(root, ...parts);

/** What the build makes; never in version control. */
export const dist = inRoot('dist');

/** The runner as one file; goes into the image. */
export const runnerBundle = inRoot('dist', 'runner.cjs');

/** The `pinch` command of the agents' scripts as one file; goes into the image. */
export const pinchBundle = inRoot('dist', 'pinch.cjs');

/** What turns web pages into text, for the runner, as one file; goes into the image beside it. */
export const readerBundle = inRoot('dist', 'reader.cjs');

/** The runner of containers of MCP servers as one file; goes into the image beside the other. */
export const boxBundle = inRoot('dist', 'box.cjs');

/** What makes pictures smaller, for the runner, as one file with the library's code beside it; go into the image. */
export const pictureBundle = inRoot('dist', 'picture.cjs');
export const pictureCode = inRoot('dist', 'photon_rs_bg.wasm');

/** All that is bundled for the image. */
export const bundles = [runnerBundle, pinchBundle, readerBundle, boxBundle, pictureBundle, pictureCode];

/** What the image is made from; `packageList` names the Debian packages that skills add. */
export const dockerfile = inRoot('container', 'Dockerfile');
export const offlineScript = inRoot('container', 'offline-base.sh');
export const packageList = inRoot('container', 'packages.txt');

/** `{"tag":"pinch-agent:<hash>"}`: the daemon reads from it which image to start. */
export const imageFile = inRoot('dist', 'agent-image.json');
