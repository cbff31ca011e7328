import { APIError } from '@anthropic-ai/sdk';
import { expect, test } from 'vitest';
import { classifyError, outputLimit, refusedPart, tooLong } from './model-errors.js';

/** An answer as it comes, in whatever shape. */
const answered = (status: number, body: object | string) =>
  typeof body === 'string'
    ? APIError.generate(status, undefined, body, new Headers())
    : APIError.generate(status, body, undefined, new Headers());
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
  ['the request exceeds the available context size (4096 tokens), try increasing it', 4_096],
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

test.each<[number, object | string, number | undefined]>([
  [
    400,
    {
      error: {
        code: 400,
        message: 'request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 5_000,
        n_ctx: 4_096,
      },
    },
    4_096,
  ],
  [500, { error: 'the input length exceeds the context length' }, undefined],
  [
    400,
    {
      error:
        'The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5000>= n_ctx: 4096). Try to load the model with a larger context length',
    },
    4_096,
  ],
  [
    400,
    {
      error:
        'Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.',
    },
    4_096,
  ],
  [
    422,
    {
      error:
        'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 1000 `max_new_tokens`',
      error_type: 'validation',
    },
    4_096,
  ],
  [
    400,
    {
      object: 'error',
      message: "This model's maximum context length is 131,072 tokens. However, you requested 140,000 tokens",
      code: 400,
    },
    131_072,
  ],
  [
    400,
    {
      error: {
        message: 'Prompt contains 40000 tokens, too large for model with 32768 maximum context length',
        code: '3051',
      },
    },
    32_768,
  ],
  [400, { error: { message: 'maximum context length is 128k tokens', code: 400 } }, 128_000],
  [400, { detail: 'Prompt length (5000) exceeds maximum input length (4096)' }, 4_096],
  [400, { message: 'Input is too long for requested model.' }, undefined],
  [
    400,
    {
      error: {
        code: 400,
        message:
          'Unable to submit request because the input token count is 200000 but model only supports up to 32768.',
        status: 'INVALID_ARGUMENT',
      },
    },
    32_768,
  ],
  [
    400,
    {
      error: {
        message: 'litellm.ContextWindowExceededError: litellm.BadRequestError: too much',
        type: null,
        code: '400',
      },
    },
    undefined,
  ],
  [
    400,
    { code: 'InvalidParameter', message: 'Total message token length exceed model limit (1000000 tokens).' },
    1_000_000,
  ],
  [400, { error: { code: '1261', message: 'Prompt 超长' } }, undefined],
  [
    400,
    { error: { message: 'too many tokens: size limit exceeded by 3000 tokens. Try using shorter or fewer inputs' } },
    undefined,
  ],
  [413, '<html><head><title>413 Request Entity Too Large</title></head></html>', undefined],
  [
    400,
    { error: { message: "The input (5000 tokens) is longer than the model's context length (4096 tokens)." } },
    4_096,
  ],
])('too long, in the words and shapes of other servers: %i %j', (status, body, limit) => {
  expect(tooLong(answered(status, body))).toEqual(limit ? { limit } : {});
  expect(outputLimit(answered(status, body), 16_000)).toBeUndefined();
});

test.each<[number, object | string]>([
  [429, { message: 'Too many tokens, please wait before trying again.' }],
  [
    429,
    {
      error: {
        message: 'This request would exceed the rate limit of 40,000 input tokens per minute',
        type: 'rate_limit_error',
      },
    },
  ],
  [
    402,
    { error: { message: 'Prompt tokens limit exceeded: 9000 > 5000. To increase, visit the settings', code: 402 } },
  ],
  [403, { error: { message: 'Key limit exceeded (total limit)', code: 403 } }],
  [529, { error: { message: 'request queue exceeds maximum length', type: 'overloaded_error' } }],
  [400, { error: { message: 'messages.3.content.0.input: Input should be a valid dictionary' } }],
  [400, { error: { message: 'tools.0.custom.description: exceeds 1024 characters' } }],
  [404, 'page not found'],
])('about something else, whatever it says: %i %j', (status, body) => {
  expect(tooLong(answered(status, body))).toBeUndefined();
  expect(outputLimit(answered(status, body), 16_000)).toBeUndefined();
});

test.each<[number, object, number]>([
  [
    400,
    {
      error: {
        message: 'max_tokens: 16000 > 8192, which is the maximum allowed number of output tokens for claude-3-5',
      },
    },
    8_192,
  ],
  [
    400,
    {
      error: {
        message:
          'max_tokens is too large: 16000. This model supports at most 4096 completion tokens, whereas you provided 16000.',
      },
    },
    4_096,
  ],
  [400, { error: { message: 'Invalid max_tokens value, the valid range of max_tokens is [1, 8192]' } }, 8_192],
  [400, { code: 'InvalidParameter', message: 'Range of max_tokens should be [1, 2000]' }, 2_000],
  [
    400,
    { message: 'The maximum tokens you requested exceeds the model limit of 4096. Try again with a lower value.' },
    4_096,
  ],
  [
    400,
    {
      error: {
        message:
          '`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model',
      },
    },
    8_192,
  ],
  [
    422,
    {
      detail: [
        { loc: ['body', 'max_tokens'], msg: 'Input should be less than or equal to 4096', type: 'less_than_equal' },
      ],
    },
    4_096,
  ],
  [400, { error: { code: '1210', message: 'max_tokens参数非法' } }, 8_000],
  [400, { error: { message: 'this model gives at most 4096 completion tokens' } }, 4_096],
  [422, { message: 'invalid max_completion_tokens: the maximum value is 8192' }, 8_192],
  [400, { message: 'max_tokens has a maximum of 8192' }, 8_192],
])('a reply that may not be so long: %i %j', (status, body, most) => {
  expect(outputLimit(answered(status, body), 16_000)).toBe(most);
});

test.each([
  "Unsupported parameter: 'max_tokens' is not supported with this model.",
  'messages: text content blocks must be non-empty',
])('about no length of a reply: %s', (message) => {
  expect(outputLimit(said(400, message), 16_000)).toBeUndefined();
});

test.each<[number, object | string, string]>([
  [429, { error: { code: '1113', message: '余额不足或无可用资源包,请充值。' } }, 'billing'],
  [400, { code: 'Arrearage', message: 'Access denied, please make sure your account is in good standing.' }, 'billing'],
  [403, { error: { message: 'Key limit exceeded (total limit). Manage it in the settings', code: 403 } }, 'billing'],
  [
    403,
    {
      code: 'forbidden',
      error: 'Your team has either used all available credits or reached its monthly spending limit.',
    },
    'billing',
  ],
  [
    429,
    { error: { message: 'Your account is not active', type: 'insufficient_quota', code: 'insufficient_quota' } },
    'billing',
  ],
  [429, { error: { type: 'exceeded_current_quota_error', message: 'Your account is suspended' } }, 'billing'],
  [429, { error: 'you have reached your weekly usage limit, upgrade for more' }, 'billing'],
  [402, { detail: 'You have exceeded your monthly included credits' }, 'billing'],
  [400, { error: { message: 'tools.4.custom.name: billing_report is used twice' } }, 'invalid_request'],
  [
    429,
    {
      error: {
        message: 'Rate limit reached for model in organization on tokens per min (TPM): Limit 30000, Used 29000',
      },
    },
    'rate_limit',
  ],
  [429, 'Too Many Requests', 'rate_limit'],
  [401, { error: { message: 'No auth credentials found', code: 401 } }, 'auth'],
  [
    403,
    { error: { message: 'Input data may contain inappropriate content. It violates the policy' } },
    'invalid_request',
  ],
  [500, { error: 'llama runner process has terminated' }, 'overloaded'],
  [503, { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } }, 'overloaded'],
  [400, { error: { message: { text: 'an object' } } }, 'invalid_request'],
  [400, { error: null }, 'invalid_request'],
  [429, { code: 'insufficient_quota', message: 'You cannot do that now' }, 'billing'],
])('other servers: %i %j is %s', (status, body, errorClass) => {
  expect(classifyError(answered(status, body))).toMatchObject({ errorClass, message: expect.any(String) });
});

test('people read the words of an answer, not its brackets', () => {
  const words = ({ message }: { message: string }) => message.replace(/^.*?\): /, '');
  expect(words(classifyError(answered(400, { error: 'it is wrong' })))).toBe('it is wrong');
  expect(words(classifyError(answered(422, { detail: 'it is wrong' })))).toBe('it is wrong');
  expect(words(classifyError(answered(400, { error: { code: 7, message: 'it is wrong' } })))).toBe('it is wrong');
});

test('of the page of a proxy people read the words', () => {
  const page =
    '<!DOCTYPE html><html><head><style>b {}</style><title>502 Bad Gateway</title></head><body>nginx</body></html>';
  expect(classifyError(answered(502, page)).message).toBe(
    'the model back end is overloaded or broken (502): 502 502 Bad Gateway nginx',
  );
});
