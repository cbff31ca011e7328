// Every channel of this checkout, one line each. A fork adds a channel by adding a file and its line.
export { telegram } from './telegram.js';
export { web } from './web.js';
export { whatsapp } from './whatsapp.js';
