import { APIError } from '@anthropic-ai/sdk';
import { expect, test } from 'vitest';
import { classifyError, refusedPart, tooLong } from './model-errors.js';

const said = (status: number, message: string, type = 'invalid_request_error') =>
  APIError.generate(status, { type: 'error', error: { type, message } }, undefined, new Headers());

test.each([
  ['input length and `max_tokens` exceed context limit: 187254 + 20000 > 204798', 204_798],
  ['Input is too long for requested model.', undefined],
  ['Your request exceeded model token limit: 262144', 262_144],
  ['Prompt exceeds max length', undefined],
  ['Range of input length should be [1, 98304]', 98_304],
  ['context_length_exceeded', undefined],
  ['prompt is too long: 210000 tokens > 200000 maximum', 200_000],
  ["This model's maximum context length is 8192 tokens. However, you requested 9000 tokens", 8_192],
  ['the request exceeds the available context size (4096 tokens), try increasing it', undefined],
  ['The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).', 1_048_576],
  ['Too many tokens in the prompt', undefined],
])('too long: %s', (message, limit) => {
  const found = tooLong(said(400, message));
  expect(found).toBeDefined();
  expect(found?.limit).toBe(limit);
});

test.each([
  'max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens',
  'messages: text content blocks must be non-empty',
  'Could not process image',
])('not too long: %s', (message) => expect(tooLong(said(400, message))).toBeUndefined());

test.each([
  [400, 'Your credit balance is too low to access the Anthropic API.', 'billing'],
  [400, 'You have reached your specified API usage limits. You will regain access on 2027-01-01', 'billing'],
  [402, 'This request requires more credits', 'billing'],
  [429, 'You exceeded your current quota, please check your plan and billing details.', 'billing'],
  [403, 'Insufficient balance', 'billing'],
  [403, 'Your chosen model requires moderation and your input was flagged for "violence"', 'invalid_request'],
  [403, 'Request not allowed', 'auth'],
  [401, 'invalid x-api-key', 'auth'],
  [429, 'Number of request tokens has exceeded your per-minute rate limit', 'rate_limit'],
  [529, 'Overloaded', 'overloaded'],
  [400, 'messages: roles must alternate', 'invalid_request'],
  [404, 'model: claude-none', 'invalid_request'],
  [502, 'the model server api.example.com could not be reached: its name cannot be found (ENOTFOUND)', 'network'],
  [502, 'Bad Gateway', 'overloaded'],
])('%i %s is %s', (status, message, errorClass) =>
  expect(classifyError(said(status, message, ''))).toMatchObject({ errorClass }));

test('what asks for money is told without saying it twice', () => {
  const { message } = classifyError(said(402, 'the budget of this day is used up', 'billing_error'));
  expect(message.match(/budget/g)).toHaveLength(1);
});

test.each([
  ['messages.3.content.0: Invalid `signature` in `thinking` block', 'thinking'],
  ['messages.1.content.0.image.source.base64: Could not process image', 'media'],
  ['messages.0.content.1.image.source.base64.data: image exceeds 5 MB maximum: 6710912 bytes > 5242880 bytes', 'media'],
  ['The PDF specified was not valid.', 'media'],
  ['this model does not support image input', 'media'],
  ['messages: text content blocks must be non-empty', undefined],
])('refused for a part: %s', (message, part) => expect(refusedPart(said(400, message))).toBe(part));
