// Variables by which other programs find a proxy. Pinch connects to the model, to chats, to services and to sites without one (it looks each
// name up itself and connects to that address), and says so. Only set-up, which runs npm and builds the image, uses them.
import type { Env } from '../core/config.js';

const NAMES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]);

/** Names of those that are set and not used, never their values: these may have a password in them. None where NO_PROXY takes every host out. */
export function unusedProxies(env: Env): string[] {
  const without = (env.no_proxy?.trim() || env.NO_PROXY || '').split(/[\s,]+/);
  if (without.includes('*')) return [];
  // Newer Nodes take this one as an order for a part of our connections.
  const half = env.NODE_USE_ENV_PROXY === '1' || /--use-env-proxy\b/.test(env.NODE_OPTIONS ?? '');
  const set = NAMES.filter((name) => env[name]?.trim());
  return half && set.length > 0 ? [...set, 'NODE_USE_ENV_PROXY'] : set;
}

export const PROXY_FIX =
  'where the direct way is closed, open it for Pinch (firewall, VPN, transparent proxy), or name a relay of yours as ANTHROPIC_BASE_URL and TELEGRAM_API_ROOT; else NO_PROXY=*';
