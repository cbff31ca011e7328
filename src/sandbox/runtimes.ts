// Every runtime of this checkout, one line each; PINCH_RUNTIME names one. A fork adds a runtime by adding a file and its line.
export { dockerRuntime } from './docker.js';
export { processRuntime } from './process.js';
