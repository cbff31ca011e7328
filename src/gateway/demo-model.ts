// The demo model: a scripted back end for a first run without an account. It drives the agent's real tools, says in every reply
// that it is a script, and is a pure function of the request. Knows nothing about HTTP.
import { createHash } from 'node:crypto';
import { type Plan, type PlanContext, planFor } from './demo-intents.js';
import { allMessages, type DemoCall, type DemoRequest, readTurn } from './demo-turn.js';
import type { ReplyBlock, ReplyMessage } from './sse.js';

export { demoRequest } from './demo-turn.js';

export const DEMO_FOOTER = '— demo model, no account needed. For real answers set ANTHROPIC_API_KEY in .env';

/** More than this in one turn is a flood, not a request. */
const MAX_CALLS = 10;

/** The reply to a request; the same request gives the same reply. Never throws. */
export function demoReply(request: DemoRequest): ReplyMessage {
  const { messages, calls, note } = readTurn(request);
  // Hashed so that ids are unique in every history they can meet in, without chance or a counter.
  const id = createHash('sha256').update(JSON.stringify(request.messages)).digest('hex').slice(0, 16);
  if (isSummaryRequest(note)) return message(request, id, [{ type: 'text', text: summary(request) }]);
  const context = contextOf(request);
  const plans = withoutRepeats(messages.map((text) => planFor(text, context)));
  const toolPlans = plans.filter((plan) => plan.kind === 'call').slice(0, MAX_CALLS);
  // A call of this turn answers the plan at its place; messages that came in between added plans behind them.
  const open = toolPlans.slice(calls.length);
  if (open.length > 0)
    return message(
      request,
      id,
      open.map((plan, at) => toolUse(plan, `toolu_demo_${id}_${at}`)),
    );
  return message(request, id, [{ type: 'text', text: `${finalText(plans, toolPlans, calls)}\n\n${DEMO_FOOTER}` }]);
}

type CallPlan = Extract<Plan, { kind: 'call' }>;

const toolUse = (plan: CallPlan, id: string): ReplyBlock => ({
  type: 'tool_use',
  id,
  name: plan.tool,
  input: plan.input,
});

/** Text and, when several messages came at once, a word about it. */
function finalText(plans: Plan[], toolPlans: CallPlan[], calls: DemoCall[]): string {
  const told = toolPlans.map((plan, at) => tell(plan, calls[at]));
  const last = plans.at(-1);
  const said = last?.kind === 'say' ? [last.text] : [];
  const count = plans.length;
  const note = told.length === 0 && count > 1 ? [`(${count} messages came at once; this answers the last one.)`] : [];
  return [...told, ...said, ...note].join('\n\n');
}

function tell(plan: CallPlan, call: DemoCall | undefined): string {
  const result = call?.result;
  if (!result) return `I called \`${plan.tool}\`, but its result never came.`;
  return result.isError ? `\`${plan.tool}\` did not work: ${result.text.trim()}` : plan.tell(result.text);
}

/** The same call twice in one turn is done once: the runner stops a model that repeats itself. */
function withoutRepeats(plans: Plan[]): Plan[] {
  const keys = plans.map((plan, at) => (plan.kind === 'call' ? JSON.stringify([plan.tool, plan.input]) : `say ${at}`));
  return plans.filter((_plan, at) => keys.indexOf(keys[at] ?? '') === at);
}

function contextOf(request: DemoRequest): PlanContext {
  const system = JSON.stringify(request.system ?? '');
  // The runner's prompt names the memory file by its full path; outside a container that is not /workspace.
  const workspace = /- (\/[^"\\]*?)\/CLAUDE\.md is your memory/.exec(system)?.[1] ?? '/workspace';
  return { workspace, tools: new Set((request.tools ?? []).map((tool) => tool.name)) };
}

const isSummaryRequest = (note: string) => /\bsummarize it now\b/i.test(note);

function summary(request: DemoRequest): string {
  const asked = allMessages(request)
    .slice(-20)
    .map((text) => `- ${text.slice(0, 200)}`);
  return `Summary by the demo model. The people wrote lately:\n${asked.join('\n') || '- (nothing)'}`;
}

/** Input tokens of a request, roughly: four characters each. */
export function demoTokens(request: DemoRequest): number {
  return Math.ceil(JSON.stringify([request.system, request.tools, request.messages]).length / 4);
}

function message(request: DemoRequest, id: string, content: ReplyBlock[]): ReplyMessage {
  return {
    id: `msg_demo_${id}`,
    type: 'message',
    role: 'assistant',
    model: 'demo',
    content,
    stop_reason: content.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: {
      input_tokens: demoTokens(request),
      output_tokens: Math.ceil(JSON.stringify(content).length / 4),
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
    },
  };
}
