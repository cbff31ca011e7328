// The agent's tools. Each line names functions that make tools from the run's context; a fork adds a tool with a file and its line.
export { agentTool } from './agent.js';
export { bashTool } from './bash.js';
export { chatTools } from './chat.js';
export { fileTools, searchTools } from './files.js';
export { groupTools } from './groups.js';
export { mcpTools } from './mcp.js';
export { searchEngineTool } from './search.js';
export { taskTools } from './tasks.js';
export { webTools } from './web.js';
