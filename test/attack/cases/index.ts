// All attacks. A family is a file here and its line below: small ones share a container (families.ts), others have a run of their own.
import type { AttackCase } from '../attack.js';
import type { Family } from '../families.js';
import { closedDoor } from './closed-door.js';
import { credentials } from './credentials.js';
import { doorFloods } from './door-floods.js';
import { files, inbox } from './files.js';
import { link } from './link.js';
import { openDoor } from './network.js';
import { ownWords } from './own-words.js';
import { promptBoundary } from './prompt.js';
import { resources } from './resources.js';
import { rights } from './rights.js';
import { scenesOfContainers } from './scenes.js';
import { smuggling } from './smuggling.js';

export const families: Family[] = [
  closedDoor,
  openDoor,
  smuggling,
  ownWords,
  credentials,
  files,
  inbox,
  link,
  rights,
  promptBoundary,
  resources,
];

export const scenes: AttackCase[] = [...doorFloods, ...scenesOfContainers];
