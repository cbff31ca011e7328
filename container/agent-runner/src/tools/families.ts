// The agent's tools, one line per family: a function from the run's context to its tools. A fork adds a tool by adding a file and its line.
export { bashTool } from './bash.js';
export { chatTools } from './chat.js';
export { fileTools, searchTools } from './files.js';
export { taskTools } from './tasks.js';
