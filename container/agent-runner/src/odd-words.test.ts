// The words of more servers, each a line: what they say, and what it means here.
import { APIError } from '@anthropic-ai/sdk';
import { expect, test } from 'vitest';
import { classifyError, outputLimit, refusedPart, tooLong } from './model-errors.js';

const said = (status: number | undefined, message: string) =>
  APIError.generate(status, { error: { message } }, undefined, new Headers());

test.each<[number, string, number | undefined]>([
  [400, 'The prompt is too long: 250134, model maximum context length: 202751', 202_751],
  [400, 'Please reduce the length of the messages or completion.', undefined],
  [400, 'Please reduce the length of the messages. Current length is 8300 while limit is 8192', 8_192],
  [400, 'Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.', 272_000],
  [400, 'token limit exceeded: 9000 tokens, limit 8192', 8_192],
  [400, 'Request too large for model', undefined],
  [400, 'the conversation history exceeds the token window', undefined],
  [400, 'total length of input exceeds 32768', 32_768],
  [400, 'the prompt length is over the limit (4096)', 4_096],
  [400, 'prompt tokens (9000) + max_tokens (1000) > n_ctx (8192)', 8_192],
  [400, 'max input characters is 129024', undefined],
  [400, 'the prompt exceeds the maximum size of 30000 characters', undefined],
  [400, '输入内容过长，超出模型最大长度 32768', 32_768],
  [400, 'このモデルの最大コンテキスト長は 8192 トークンです', 8_192],
  [400, "exceeds the model's context window of 1M tokens", 1_000_000],
  [400, 'Prompt has 210,000 tokens, but the context window is 200K tokens.', 200_000],
  [500, 'slot context shift disabled: context is full', undefined],
  [
    400,
    "'max_tokens' or 'max_completion_tokens' is too large: 16000. This model's maximum context length is 32768 tokens and your request has 17000 input tokens (16000 > 32768 - 17000).",
    32_768,
  ],
])('too long: %i %s', (status, message, limit) => {
  expect(tooLong(said(status, message))).toEqual(limit ? { limit } : {});
  expect(outputLimit(said(status, message), 16_000)).toBeUndefined();
});

test.each([
  'image.source.base64.data: At least one of the image dimensions exceed max allowed size: 8000 pixels',
  'image dimensions exceed max allowed size for many-image requests: 2000 pixels',
  'tools: too many tools, at most 128 are allowed',
  'A maximum of 100 PDF pages may be provided.',
  'stop_sequences: list length exceeds maximum of 4',
])('not too long: %s', (message) => expect(tooLong(said(400, message))).toBeUndefined());

test.each<[number | undefined, string, string]>([
  [400, 'API key not valid. Please pass a valid API key.', 'auth'],
  [400, 'invalid API key provided', 'auth'],
  [400, 'This organization has been disabled.', 'auth'],
  [403, 'Your organization has been disabled due to nonpayment', 'billing'],
  [429, 'Your account balance is exhausted, please recharge', 'billing'],
  [429, 'Add credits to raise your limits; please reduce your request rate', 'rate_limit'],
  [403, 'DataInspectionFailed: Input data may contain inappropriate content.', 'invalid_request'],
  [403, 'Harmful content detected', 'invalid_request'],
  [403, 'Access denied: prompt injection detected (prohibited content)', 'invalid_request'],
  [403, 'Model access denied for this key', 'auth'],
  [408, 'Request timed out', 'overloaded'],
  [409, 'conflict', 'overloaded'],
  [302, 'moved', 'invalid_request'],
  [405, 'Method not allowed', 'invalid_request'],
  [410, 'this model was retired', 'invalid_request'],
  [undefined, 'upstream request timeout', 'overloaded'],
  [undefined, 'nobody knows', 'unknown'],
])('%s %s is %s', (status, message, errorClass) =>
  expect(
    classifyError(
      status ? said(status, message) : new APIError(undefined, { error: { message } }, message, new Headers()),
    ),
  ).toMatchObject({ errorClass }));

test.each<[string, string | undefined]>([
  ['Invalid signature', 'thinking'],
  ['Corrupted thought signature.', 'thinking'],
  ['messages.1.content.0.signature: Field required', 'thinking'],
  ['unsupported content block type: thinking', 'thinking'],
  ['Invalid base64 data', 'media'],
  ['The file is password protected', 'media'],
  ['图片格式不支持', 'media'],
  ['unknown variant `image_url`, expected `text`', 'media'],
  ['At most 1 image(s) may be provided in one prompt.', 'media'],
  ['tools.3.custom.name: String should have at most 128 characters', undefined],
])('refused for a part: %s', (message, part) => expect(refusedPart(said(400, message))).toBe(part));
